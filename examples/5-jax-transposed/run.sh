#!/usr/bin/env bash
# The example shows a difference, so exit code 1 is right.
cd "$(dirname "$0")" || exit 2
convdiff run x.npy filters.npy --as tensorflow --transposed --padding same \
    --saved question=jax.npy --saved answer=answer.npy --call jax=rotated.py:asked --call jax=rotated.py:equal
[ $? -eq 1 ]
