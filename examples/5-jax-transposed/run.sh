#!/usr/bin/env bash
# Exit code 1, "at least one differs", is what this example is about.
cd "$(dirname "$0")" || exit 2
convdiff run x.npy filters.npy --as tensorflow --transposed --padding same \
    --saved question=jax.npy --saved answer=answer.npy --call jax=rotated.py:asked --call jax=rotated.py:equal
[ $? -eq 1 ]
