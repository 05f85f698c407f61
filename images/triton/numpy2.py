"""Lets Triton's Python backend understand NumPy 2, for a server that was built before it.

That takes arrays of NumPy 2 for empty ones and makes wrong ones of its tensors, without an error;
and a NumPy of before 2 is not for Python 3.13. By DLPack both ends understand each other. Texts
(TYPE_STRING) have no such way, and fail.
"""

import ctypes
from typing import Any

import c_python_backend_utils as server
import numpy as np

_set_destructor = ctypes.pythonapi.PyCapsule_SetDestructor
_set_destructor.argtypes = (ctypes.py_object, ctypes.c_void_p)


class Tensor:
    """Makes the server's tensors, as its own constructor would."""

    from_dlpack = staticmethod(server.Tensor.from_dlpack)

    def __new__(cls, name: str, array: np.ndarray) -> Any:
        """Return a tensor of the server's own class."""
        capsule = np.ascontiguousarray(array).__dlpack__()
        # The server frees the array, but marks the capsule by a name that NumPy does not know,
        # which would then complain of each.
        _set_destructor(capsule, None)
        return cls.from_dlpack(name, capsule)


server.Tensor.as_numpy = lambda tensor: np.from_dlpack(tensor).copy()
server.Tensor = Tensor
