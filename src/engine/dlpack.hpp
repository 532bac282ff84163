// The part of DLPack's table of C functions that is read here: what a tensor is, in one call. PyTorch has it from 2.10
// on. Source: https://dmlc.github.io/dlpack/latest/c_api.html (version 1).
#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>

namespace qtm::dlpack {

struct Tensor {
    void* data;
    int32_t device_type, device_id;
    int32_t num_axes;
    uint8_t kind, bits;
    uint16_t lanes;
    int64_t *extents, *strides;
    uint64_t byte_offset;
};
constexpr int32_t cpu = 1;
constexpr uint8_t real = 2;

struct Table {
    uint32_t major, minor;
    void* older;
    void *allocate, *share, *make;
    // Describes a tensor, which stays the owner of all that is pointed to; not 0: it cannot be described.
    int (*describe)(void* object, Tensor* found);
    void* stream;
};

// The table of torch.Tensor, or null.
inline const Table* table(nanobind::handle tensor_type) {
    PyObject* capsule = PyObject_GetAttrString(tensor_type.ptr(), "__dlpack_c_exchange_api__");
    if (capsule == nullptr) {
        PyErr_Clear();
        return nullptr;
    }
    const auto* found = static_cast<const Table*>(PyCapsule_IsValid(capsule, "dlpack_exchange_api")
                                                      ? PyCapsule_GetPointer(capsule, "dlpack_exchange_api")
                                                      : nullptr);
    Py_DECREF(capsule);  // what it points to lives as long as the process
    return found != nullptr && found->major == 1 && found->describe != nullptr ? found : nullptr;
}

}  // namespace qtm::dlpack
