// Tensors of PyTorch as the bindings see them. Making arrays of them would take longer than simulating a small circuit.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace qtm {

// The values of a tensor on the CPU that the caller knows to be of type Real, one after the other: its memory, or a
// copy where they lie otherwise. None has none.
template <class Real>
class Tensor {
   public:
    explicit Tensor(nanobind::handle given) : tensor_(nanobind::borrow(given)) {
        if (given.is_none()) return;
        static PyObject *const is_neg = interned("is_neg"), *const resolve_neg = interned("resolve_neg"),
                               *const is_contiguous = interned("is_contiguous"), *const data_ptr = interned("data_ptr"),
                               *const numel = interned("numel");
        if (call(is_neg).is(Py_True)) tensor_ = call(resolve_neg);
        size_ = nanobind::cast<size_t>(call(numel));
        data_ = static_cast<Real*>(PyLong_AsVoidPtr(call(data_ptr).ptr()));
        if (data_ == nullptr && PyErr_Occurred()) throw nanobind::python_error();
        if (!call(is_contiguous).is(Py_True)) gather();
        is_copy_ = !copy_.empty() || !tensor_.is(given);
    }

    Tensor(Tensor&&) = default;

    bool is_none() const { return tensor_.is_none(); }
    size_t size() const { return size_; }

    const Real* values(size_t expected, const char* what) const {
        if (is_none() || size_ != expected) fail(what, expected, is_none() ? "None" : std::to_string(size_));
        return data_;
    }
    // The memory of the tensor itself, to be written.
    Real* target(size_t expected, const char* what) const {
        if (is_copy_) fail(what, expected, "a tensor that is not contiguous");
        return const_cast<Real*>(values(expected, what));
    }

   private:
    static PyObject* interned(const char* name) { return PyUnicode_InternFromString(name); }

    [[noreturn]] static void fail(const char* what, size_t expected, const std::string& got) {
        throw std::invalid_argument(std::string(what) + ": expected " + std::to_string(expected) + " elements, got " +
                                    got);
    }

    nanobind::object call(PyObject* method) const {
        PyObject* result = PyObject_CallMethodNoArgs(tensor_.ptr(), method);
        if (result == nullptr) throw nanobind::python_error();
        return nanobind::steal(result);
    }

    // Copies the elements in the order of their indices. The gradient of a sum, the same number everywhere, comes as
    // one element with strides of 0; PyTorch itself takes longer to write it out.
    void gather() {
        static PyObject *const stride = interned("stride"), *const size = interned("size");
        const auto strides = nanobind::cast<std::vector<int64_t>>(call(stride));
        const auto extents = nanobind::cast<std::vector<int64_t>>(call(size));
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

    nanobind::object tensor_;
    Real* data_ = nullptr;
    size_t size_ = 0;
    std::vector<Real> copy_;
    bool is_copy_ = false;
};

}  // namespace qtm
