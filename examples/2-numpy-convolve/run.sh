#!/usr/bin/env bash
# The example shows a difference, so exit code 1 is right.
cd "$(dirname "$0")" || exit 2
convdiff run x.npy kernel.npy --as tensorflow --padding same --saved numpy=numpy.npy
[ $? -eq 1 ]
