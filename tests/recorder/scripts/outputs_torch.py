"""A torch module that returns two tensors, and None, in nested containers."""

import numpy as np
import torch

import convdiff


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 2, 3)

    def forward(self, x):
        y = self.conv(x)
        return {"y": y, "more": [torch.sigmoid(y), None]}


net = Net()
with convdiff.capture(net, "dump"):
    outputs = net(torch.randn(1, 3, 6, 5))
np.savez("outputs.npz", outputs["y"].detach().numpy(), outputs["more"][0].detach().numpy())
