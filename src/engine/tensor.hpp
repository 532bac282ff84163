// Tensors of PyTorch as the bindings see them. Making arrays of them would take longer than simulating a small circuit.
#pragma once

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace qtm {

// The values of a tensor on the CPU, one after the other: its memory, or a copy where they lie otherwise. None has
// none. Nothing is taken on trust: what is no tensor of this dtype with memory for all of its elements is an error.
template <class Real>
class Tensor {
   public:
    Tensor(nanobind::handle given, const char* what) : tensor_(nanobind::borrow(given)), what_(what) {
        if (given.is_none()) return;
        try {
            require_kind();
            read();
        } catch (nanobind::python_error& error) {  // no tensor at all, or one that has no memory of its own
            if (!error.matches(PyExc_Exception)) throw;
            fail("a dense tensor on the CPU", described() + " (" + text(error.value()) + ")");
        }
        is_copy_ = !copy_.empty() || !tensor_.is(given);
    }

    Tensor(Tensor&&) = default;

    bool is_none() const { return tensor_.is_none(); }
    size_t size() const { return size_; }

    const Real* values(size_t expected) const {
        if (is_none() || size_ != expected) fail_size(expected, is_none() ? "None" : std::to_string(size_));
        return data_;
    }
    // The memory of the tensor itself, to be written.
    Real* target(size_t expected) const {
        if (is_copy_) fail_size(expected, "a tensor that is not contiguous");
        return const_cast<Real*>(values(expected));
    }

   private:
    static PyObject* interned(const char* name) { return PyUnicode_InternFromString(name); }

    void require_kind() {
        static PyObject *const is_cpu = interned("is_cpu"), *const dtype = interned("dtype");
        static PyObject* const wanted = nanobind::object(nanobind::module_::import_("torch").attr(
                                                             std::is_same_v<Real, float> ? "float32" : "float64"))
                                            .release()
                                            .ptr();
        if (!get(is_cpu).is(Py_True)) fail("a tensor on the CPU", described());
        if (!get(dtype).is(wanted)) fail(text(wanted), described());
    }

    void read() {
        static PyObject *const is_neg = interned("is_neg"), *const resolve_neg = interned("resolve_neg"),
                               *const is_contiguous = interned("is_contiguous"), *const data_ptr = interned("data_ptr"),
                               *const numel = interned("numel"), *const is_zero = interned("_is_zerotensor");
        if (call(is_neg).is(Py_True)) tensor_ = call(resolve_neg);
        size_ = nanobind::cast<size_t>(call(numel));
        data_ = static_cast<Real*>(PyLong_AsVoidPtr(call(data_ptr).ptr()));
        if (data_ == nullptr && PyErr_Occurred()) throw nanobind::python_error();
        if (size_ == 0) return;
        if (data_ == nullptr && call(is_zero).is(Py_True)) {  // zeros that take no memory
            copy_.assign(size_, Real(0));
            data_ = copy_.data();
        } else if (call(is_contiguous).is(Py_True)) {
            require_memory(size_);
        } else {
            gather();
        }
    }

    // That the storage reaches from the first element of the tensor over `extent` elements.
    void require_memory(size_t extent) const {
        static PyObject *const untyped_storage = interned("untyped_storage"), *const nbytes = interned("nbytes"),
                               *const storage_offset = interned("storage_offset");
        const auto bytes = nanobind::cast<size_t>(call(nbytes, call(untyped_storage)));
        const size_t needed = (nanobind::cast<size_t>(call(storage_offset)) + extent) * sizeof(Real);
        if (data_ != nullptr && bytes >= needed) return;
        throw std::runtime_error(std::string(what_) + ": expected a tensor with " + std::to_string(needed) +
                                 " bytes of memory, got one with " + std::to_string(bytes) +
                                 "; its storage was freed or made smaller, as FSDP does between uses");
    }

    nanobind::object get(PyObject* name) const {
        PyObject* result = PyObject_GetAttr(tensor_.ptr(), name);
        if (result == nullptr) throw nanobind::python_error();
        return nanobind::steal(result);
    }

    static nanobind::object call(PyObject* method, nanobind::handle of) {
        PyObject* result = PyObject_CallMethodNoArgs(of.ptr(), method);
        if (result == nullptr) throw nanobind::python_error();
        return nanobind::steal(result);
    }
    nanobind::object call(PyObject* method) const { return call(method, tensor_); }

    // Copies the elements in the order of their indices. The gradient of a sum, the same number everywhere, comes as
    // one element with strides of 0; PyTorch itself takes longer to write it out.
    void gather() {
        static PyObject *const stride = interned("stride"), *const size = interned("size");
        const auto strides = nanobind::cast<std::vector<int64_t>>(call(stride));
        const auto extents = nanobind::cast<std::vector<int64_t>>(call(size));
        size_t extent = 1;
        for (size_t axis = 0; axis < extents.size(); ++axis) extent += size_t((extents[axis] - 1) * strides[axis]);
        require_memory(extent);
        copy_.reserve(size_);
        std::vector<int64_t> index(extents.size());
        const Real* element = data_;
        while (copy_.size() < size_) {
            copy_.push_back(*element);
            for (size_t axis = index.size(); axis-- > 0;) {
                element += strides[axis];
                if (++index[axis] < extents[axis]) break;
                element -= strides[axis] * extents[axis];
                index[axis] = 0;
            }
        }
        data_ = copy_.data();
    }

    // Errors.

    static std::string text(nanobind::handle object) { return nanobind::cast<std::string>(nanobind::str(object)); }

    // Class, dtype, layout and device, as far as it has them.
    std::string described() const {
        std::string found = text(nanobind::handle((PyObject*)Py_TYPE(tensor_.ptr())).attr("__name__"));
        for (const char* name : {"dtype", "layout", "device"}) {
            PyObject* value = PyObject_GetAttrString(tensor_.ptr(), name);
            if (value == nullptr)
                PyErr_Clear();
            else
                found += std::string(", ") + name + " " + text(nanobind::steal(value));
        }
        return found;
    }

    [[noreturn]] void fail(const std::string& expected, const std::string& got) const {
        throw nanobind::type_error((std::string(what_) + ": expected " + expected + ", got " + got).c_str());
    }

    [[noreturn]] void fail_size(size_t expected, const std::string& got) const {
        throw std::invalid_argument(std::string(what_) + ": expected " + std::to_string(expected) + " elements, got " +
                                    got);
    }

    nanobind::object tensor_;
    const char* what_;
    Real* data_ = nullptr;
    size_t size_ = 0;
    std::vector<Real> copy_;
    bool is_copy_ = false;
};

}  // namespace qtm
