#!/usr/bin/env bash
# Exit code 1, "at least one differs", is what this example is about.
cd "$(dirname "$0")" || exit 2
convdiff run x0.npy w0.npy --input-layout NCHW --kernel-layout OIHW --saved dnn_conv=theano.npy \
    --call theano='T.nnet.conv2d(input, kernel)' --call numpy='np.sum(input * kernel)'
[ $? -eq 1 ]
