#!/usr/bin/env bash
# The example shows a difference, so exit code 1 is right.
cd "$(dirname "$0")" || exit 2
convdiff run x0.npy w0.npy --input-layout NCHW --kernel-layout OIHW --saved dnn_conv=theano.npy \
    --call theano='T.nnet.conv2d(input, kernel)' --call numpy='np.sum(input * kernel)'
[ $? -eq 1 ]
