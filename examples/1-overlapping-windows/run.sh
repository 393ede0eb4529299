#!/usr/bin/env bash
# The example shows a difference, so exit code 1 is right.
cd "$(dirname "$0")" || exit 2
convdiff run x.npy kernel.npy --as tensorflow --saved loop=loop.npy --call numpy=loop.py:convolve
[ $? -eq 1 ]
