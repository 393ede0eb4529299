"""Subclasses of torch's modules: what their `forward` does around the call is not the layer's."""

import torch
from torch import nn
from torch.nn import functional

import convdiff


class Same(nn.Conv2d):
    def forward(self, x):
        padded = functional.pad(x, (0, 1, 0, 1))
        return functional.conv2d(padded, self.weight, self.bias, self.stride)


class Activated(nn.Conv2d):
    def forward(self, x):
        return functional.relu(super().forward(x))


class Twice(nn.Conv2d):
    def forward(self, x):
        return super().forward(super().forward(x))


net = nn.Sequential(
    Same(3, 4, 3, stride=2), Activated(4, 4, 3, padding=1), Twice(4, 4, 1), nn.Conv2d(4, 2, 2)
)
with convdiff.capture(net, "dump"):
    net(torch.randn(2, 3, 12, 12))
