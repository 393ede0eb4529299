"""Torch's convolution modules with every kind of option, and two calls of torch.conv2d."""

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

import convdiff


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lazy = nn.LazyConv2d(8, 3, padding=1, padding_mode="reflect")
        self.spectral = spectral_norm(nn.Conv2d(8, 8, (3, 2), stride=2, padding="valid", groups=2))
        self.up = nn.ConvTranspose2d(8, 6, 3, stride=2, padding=1, groups=2)
        self.weight = nn.Parameter(torch.randn(4, 6, 3, 3))
        self.twice = nn.Conv2d(4, 4, 3, padding=(1, 2), dilation=2, bias=False)
        self.block = nn.Sequential(
            nn.ReLU(), nn.Conv2d(4, 5, 3, padding="same", padding_mode="circular")
        )
        self.deep = nn.ModuleDict(
            {
                "conv": nn.Conv3d(5, 4, 2, padding_mode="replicate", padding=1),
                "up": nn.ConvTranspose3d(4, 2, 3, dilation=2),
            }
        )
        self.line = nn.Conv1d(2, 4, 3, stride=2)
        self.line_up = nn.ConvTranspose1d(4, 2, 4, stride=3)

    def forward(self, x):
        x = self.spectral(functional.relu(self.lazy(input=x), inplace=True))
        x = self.up(x, output_size=[18, 15])
        x = functional.conv2d(x, self.weight, stride=2, padding=1)
        x = self.twice(self.twice(x))
        x = self.deep["up"](self.deep["conv"](self.block(x).unsqueeze(2)))
        return self.line_up(self.line(x.flatten(2)))


torch.manual_seed(0)
net = Net().train()
with convdiff.capture(net, "dump"):
    net(torch.randn(2, 3, 19, 17))
