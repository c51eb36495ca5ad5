"""Convolutions as they are run: kernels in few bits if need be, and what costs nothing in all of them."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kernel = tuple[Tensor, Tensor | None]


def convolve(
    x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int = 1, dilation: int = 1, relu: bool = False
) -> Tensor:
    """(N,C,H,W), padded already, in the kernel's type; the bias may have more bits than that.

    It joins sums that are fp32 anyway, while eight bits of it would shift a whole channel. A GPU's kernels
    take theirs in the type of the rest.
    """
    if kernel.dtype != torch.float32:
        x = x.to(kernel.dtype)
    if _in_one_step(x, kernel) and (relu or bias is not None):
        sizes, after = ((0, 0), (stride, stride), (dilation, dilation), 1), "relu" if relu else "none"
        return torch.ops.mkldnn._convolution_pointwise(x, kernel, bias, *sizes, after, [], "")
    made = F.conv2d(x, kernel, bias if bias is None else bias.to(kernel.dtype), stride, dilation=dilation)
    return F.relu(made) if relu else made


def _in_one_step(x: Tensor, kernel: Tensor) -> bool:
    """Whether this processor's library takes an exact bias and a ReLU with a convolution of this type.

    For painting alone: it knows no gradients, and other programs do not know it.
    """
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu") or torch.compiler.is_exporting():
        return False
    return x.is_cpu and x.dtype == kernel.dtype and _library_takes(x.dtype)


@cache
def _library_takes(dtype: torch.dtype) -> bool:
    asked = torch.ops.mkldnn
    if dtype == torch.float32:
        return hasattr(asked, "_convolution_pointwise")
    few = {torch.bfloat16: "_is_mkldnn_bf16_supported", torch.float16: "_is_mkldnn_fp16_supported"}
    return dtype in few and hasattr(asked, few[dtype]) and bool(getattr(asked, few[dtype])())


def twofold(x: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """`x` as its rounding to the kernel's type and what that leaves, and the kernel for both."""
    if kernel.dtype == x.dtype:
        return x, kernel
    rounded = x.to(kernel.dtype)
    return torch.cat([rounded, (x - rounded).to(kernel.dtype)], 1), torch.cat([kernel, kernel], 1)


class Conv(nn.Conv2d):
    """Same size at stride 1; reflected at the border: a zero one reads as a dark frame and gets painted."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_px: int = 3,
        stride: int = 1,
        dilation: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__(inputs, outputs, kernel_px, stride, dilation=dilation, bias=bias)
        self.room_px = dilation * (kernel_px // 2)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        return convolve(self.framed(x), self.weight, self.bias, self.stride[0], self.dilation[0], relu)

    def framed(self, x: Tensor) -> Tensor:
        """With the border that the kernel needs."""
        return F.pad(x, (self.room_px,) * 4, mode="reflect")


def frozen(kernel: Tensor, bias: Tensor | None) -> nn.ParameterList:
    """A kernel and its bias that move and change type with their network, and are not trained."""
    zero = kernel.new_zeros(len(kernel)) if bias is None else bias
    return nn.ParameterList(nn.Parameter(each, requires_grad=False) for each in (kernel, zero))
