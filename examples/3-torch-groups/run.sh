#!/usr/bin/env bash
# The example shows a difference, so exit code 1 is right.
cd "$(dirname "$0")" || exit 2
convdiff run x.npy kernel.npy --as tensorflow --padding 2:0 --saved torch=torch.npy --call torch=grouped.py:conv1d
[ $? -eq 1 ] || exit 1
# The same on random arrays, which leave one explanation.
convdiff run x_random.npy kernel_random.npy --as tensorflow --padding 2:0 --call torch=grouped.py:conv1d
[ $? -eq 1 ]
