"""Hypotheses about complex numbers: conjugated, or only a part of them kept.

They make no forms: `complex_diagnosis` looks for them.
"""

from __future__ import annotations

from typing import ClassVar

from convdiff.diagnose.hypotheses.base import Edits, Hypothesis
from convdiff.records import Edit
from convdiff.spec.conv_spec import ConvSpec


class KernelConjugated(Hypothesis):
    """The complex conjugate of the kernel was used.

    How it shows: The imaginary parts of the kernel count with the other sign, so that nearly all
    elements differ in both parts. With a real kernel nothing shows; with a real input the output is
    the conjugate of the right one.
    Typical causes: np.correlate, scipy.signal.correlate, scipy.ndimage.correlate and MATLAB's xcorr
    conjugate their second argument, as the definition in signal processing does; torch and JAX do
    not, and neither does any convolve. A product of Fourier transforms
    with np.conj on one side; .conj() or .H left over from a matched filter.
    What tells it apart: An input and a kernel with imaginary parts. With a real input, a conjugated
    output is the same.
    Fix: Conjugate the kernel once more on one side:
        numpy: `kernel.conj()` as the second argument of np.correlate
        scipy: `kernel.conj()` as the second argument of scipy.signal.correlate
        torch: `kernel.conj()` where the conjugate is meant
        tensorflow: `tf.math.conj(kernel)`; tf.nn has no convolution of complex numbers
        jax: `jnp.conj(kernel)` where the conjugate is meant
    """

    code: ClassVar[str] = "kernel-conjugated"
    changes_kernel: ClassVar[bool] = True
    shown_by: ClassVar[str] = "an input and a kernel with imaginary parts"

    def sentence(self, edit: Edit) -> str:
        return "the complex conjugate of the kernel was used"

    def common_name(self, edit: Edit, edits: Edits, spec: ConvSpec) -> str | None:
        if len(edits) == 1 and not spec.flip:
            return "np.correlate and scipy.signal.correlate conjugate their second argument"
        if {each["code"] for each in edits} == {self.code, "kernel-not-flipped"}:
            return "scipy.signal.correlate instead of convolve"
        return None


class InputConjugated(Hypothesis):
    """The complex conjugate of the input was used.

    How it shows: The imaginary parts of the input count with the other sign. With a real input
    nothing shows; with a real kernel the output is the conjugate of the right one.
    Typical causes: np.correlate(kernel, input), which conjugates its second argument; data whose
    time runs backwards (exp(-iwt) and exp(iwt)); .conj().T where a transposition was meant, and
    MATLAB's ' instead of .'.
    What tells it apart: An input and a kernel with imaginary parts.
    Fix: Leave the input as it is, or conjugate it once more:
        numpy: `input.T` instead of `input.conj().T`
        torch: `tensor.mT` instead of `tensor.mH`
        tensorflow: `tf.transpose(tensor)` instead of `tf.linalg.adjoint(tensor)`
        jax: `jnp.conj(input)` undoes it
    """

    code: ClassVar[str] = "input-conjugated"
    shown_by: ClassVar[str] = "an input and a kernel with imaginary parts"

    def sentence(self, edit: Edit) -> str:
        return "the complex conjugate of the input was used"


class OutputConjugated(Hypothesis):
    """The output is the complex conjugate of the right one.

    How it shows: The real parts are right, the imaginary parts have the other sign. So it is where
    input and kernel were both conjugated.
    Typical causes: np.fft.fft where the inverse transform was meant, or the reverse; the other sign
    convention of a Fourier transform; .conj().T or MATLAB's ' on the output.
    What tells it apart: An input and a kernel with imaginary parts: with a real one of them, the
    other was as likely conjugated.
    Fix: Conjugate the output, or use the same sign convention on both sides:
        numpy: `output.conj()`
        torch: `output.conj()`
        tensorflow: `tf.math.conj(output)`
        jax: `jnp.conj(output)`
    """

    code: ClassVar[str] = "output-conjugated"
    shown_by: ClassVar[str] = "an input and a kernel with imaginary parts"

    def sentence(self, edit: Edit) -> str:
        return "the output is the complex conjugate of the right one"


class PartKept(Hypothesis):
    """Only the real part, the imaginary part or the magnitude was kept.

    How it shows: An output without imaginary parts, or one that is right for the real parts of the
    input or of the kernel.
    Typical causes: A cast of complex numbers to a real type, with which numpy and torch discard the
    imaginary parts and warn (ComplexWarning); .real after an inverse FFT of complex signals;
    np.abs for a plot; an output array that was made as np.zeros(shape), which is real.
    What tells it apart: An input and a kernel with imaginary parts.
    Fix: Keep the complex type throughout:
        numpy: `np.zeros(output.shape, np.complex128)`; `input.astype(np.complex64)`
        torch: `tensor.to(torch.complex64)`; `torch.view_as_complex(parts)`
        tensorflow: `tf.cast(tensor, tf.complex64)`; `tf.complex(real, imaginary)`
        jax: `jnp.asarray(array, jnp.complex64)`
    """

    code: ClassVar[str] = "part-kept"
    shown_by: ClassVar[str] = "an input and a kernel with imaginary parts"

    def sentence(self, edit: Edit) -> str:
        part = {"real": "real part", "imaginary": "imaginary part"}.get(
            edit["obtained"], edit["obtained"]
        )
        return f"only the {part} of the {edit['where']} was kept"


COMPLEX_NUMBERS = (KernelConjugated(), InputConjugated(), OutputConjugated(), PartKept())
