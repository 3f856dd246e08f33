"""The CUDA tier as NVIDIA's compiler makes it: its PTX, run by an interpreter, over the same laws.

What the simulator leaves out is what a GPU would run: types, addresses, carries, inline PTX.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from oracle.toolchain import ROOT
from tests.gpu import Memory, instruction, signed, translate

COMPILER = bool(importlib.util.find_spec("nvidia") and importlib.util.find_spec("nvidia.cuda_nvcc"))
LAWS = "tests/differential/test_kernels_cuda.py"
# Sizes that take minutes, and what is about processes rather than kernels.
LEFT_OUT = (
    "shape5 or shape0 or test_rounds[64] or test_elementwise[64] or generator or groups"
    " or msm[17] or msm[64] or 13 or 14 or 15 or 16 or 18 or 19"
    " or bytes_of or asked or without or timed"
)


@pytest.mark.slow
@pytest.mark.skipif(
    not COMPILER,
    reason="CUDA's compiler is not installed (nvidia-cuda-nvcc-cu12)",
)
def test_compiled_kernels_keep_the_laws() -> None:
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.gpu",
            "-q",
            "-p",
            "no:xdist",
            LAWS,
            "-k",
            f"not ({LEFT_OUT})",
        ],
        cwd=ROOT,
        env={**os.environ, "NUMBA_ENABLE_CUDASIM": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
    assert "failed" not in ran.stdout
    assert int(ran.stdout.split(" passed")[0].split()[-1]) > 70


KERNEL = """
.visible .entry doubled(
	.param .u64 doubled_param_0,
	.param .u64 doubled_param_1
)
{
	.reg .pred 	%p<2>;
	.reg .b64 	%rd<9>;

	ld.param.u64 	%rd1, [doubled_param_0];
	ld.param.u64 	%rd2, [doubled_param_1];
	mov.u32 	%r1, %tid.x;
	cvt.s64.s32 	%rd3, %r1;
	setp.ge.s64 	%p1, %rd3, %rd2;
	@%p1 bra 	$L__BB0_2;
	shl.b64 	%rd4, %rd3, 3;
	add.s64 	%rd5, %rd1, %rd4;
	ld.global.u64 	%rd6, [%rd5];
	// begin inline asm
	{ .reg .u32 t; add.cc.u32 t, %r1, -1; addc.u32 %r2, 0, 0; }
	// end inline asm
	neg.s64 	%rd7, %rd6;
	st.global.u64 	[%rd5], %rd7;
$L__BB0_2:
	ret;
}
"""


def test_the_interpreter_branches_loads_and_stores() -> None:
    memory = Memory()
    base, thread = memory.allocate(16), translate(KERNEL)
    memory.write(base, 8, 5)
    for tid in range(4):
        thread([base, 2], tid, 4, 0, 1, memory)
    assert signed(memory.read(base, 8), 64) == -5
    assert memory.read(base + 8, 8) == 0
    with pytest.raises(MemoryError, match="8 bytes at 16 of 16"):
        thread([base, 3], 2, 4, 0, 1, memory)
    with pytest.raises(MemoryError, match="8 bytes at 4 of 16"):
        thread([base + 4, 1], 0, 4, 0, 1, memory)


def test_an_instruction_outside_the_subset_is_refused() -> None:
    for text in ("bar.sync 0", "fma.rn.f64 %fd1, %fd2, %fd3, %fd4", "mul.hi.s64 %rd1, %rd2, %rd3"):
        with pytest.raises((ValueError, IndexError)):
            instruction(text)
