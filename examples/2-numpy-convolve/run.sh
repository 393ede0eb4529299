#!/usr/bin/env bash
# Exit code 1, "at least one differs", is what this example is about.
cd "$(dirname "$0")" || exit 2
convdiff run x.npy kernel.npy --as tensorflow --padding same --saved numpy=numpy.npy
[ $? -eq 1 ]
