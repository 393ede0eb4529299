"""Patches and hooks around torch's own code, and layers whose tensors have no values."""

import threading
import types

import torch
from torch import nn
from torch.nn import functional

import convdiff


class Tiled(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return 2 * tiled(self, x, weight, bias)


def tiled(self, x, weight, bias):
    padded = functional.pad(x, (1, 1, 1, 1), "circular")
    return functional.conv2d(padded, weight, bias, self.stride, 0)


def conv(padding_mode="zeros"):
    return nn.Conv2d(4, 4, 3, padding=1, padding_mode=padding_mode)


seamless = conv()
seamless._conv_forward = types.MethodType(tiled, seamless)

called = conv("reflect")
forward = called.forward
called.forward = lambda x: functional.relu(forward(functional.pad(x, (1, 0, 1, 0))))

hooked_after = conv("reflect")
hooked_after.register_forward_hook(lambda module, args, output: output.mul_(3))

hooked_before = conv("circular")
hooked_before.register_forward_pre_hook(lambda module, args: (args[0] + 1,))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            Tiled(4, 4, 3, padding=1), seamless, called, hooked_after, hooked_before
        )
        self.scripted = torch.jit.script(nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU()))
        self.traced = torch.jit.trace(nn.ConvTranspose2d(4, 4, 1), torch.ones(1, 4, 9, 9))
        self.aside = nn.Conv2d(4, 4, 1)
        self.plain = torch.jit.script(nn.ReLU())
        self.mapped = conv("reflect")

    def forward(self, x):
        thread = threading.Thread(target=self.aside, args=(x,))
        thread.start()
        thread.join()
        x = self.plain(self.traced(self.scripted(self.layers(x))))
        return torch.vmap(self.mapped)(x)


net = Net()
with torch.no_grad(), convdiff.capture(net, "dump"):
    net(torch.randn(2, 4, 9, 8))
