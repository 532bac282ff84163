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

#include "dlpack.hpp"

namespace qtm {

// A method of tensors, looked up once.
class Method {
   public:
    explicit Method(const char* name, const char* type = "Tensor") {
        method_ = nanobind::object(nanobind::module_::import_("torch").attr(type).attr(name)).release().ptr();
    }
    nanobind::object operator()(nanobind::handle self) const {
        PyObject* arguments[] = {self.ptr()};
        return checked(PyObject_Vectorcall(method_, arguments, 1, nullptr));
    }
    nanobind::object operator()(const std::vector<PyObject*>& self_and_arguments) const {
        return checked(PyObject_Vectorcall(method_, self_and_arguments.data(), self_and_arguments.size(), nullptr));
    }

   private:
    static nanobind::object checked(PyObject* result) {
        if (result == nullptr) throw nanobind::python_error();
        return nanobind::steal(result);
    }

    PyObject* method_;  // lives as long as the process
};

inline size_t as_size(nanobind::handle number) {
    const size_t value = PyLong_AsSize_t(number.ptr());
    if (value == size_t(-1) && PyErr_Occurred()) throw nanobind::python_error();
    return value;
}

// How many elements a tensor has.
inline size_t num_elements(nanobind::handle tensor) {
    static const Method numel("numel");
    return as_size(numel(tensor));
}

// A new tensor of the same kind, of that shape or of the same one.
inline nanobind::object new_like(nanobind::handle tensor, const nanobind::object& shape) {
    static const Method new_empty("new_empty");
    std::vector<PyObject*> arguments{tensor.ptr()};  // sizes one by one: PyTorch takes longer for a tuple
    for (nanobind::handle extent : shape) arguments.push_back(extent.ptr());
    return new_empty(arguments);
}
inline nanobind::object new_like(nanobind::handle tensor) {
    static PyObject* const name = PyUnicode_InternFromString("shape");
    const auto shape = nanobind::steal(PyObject_GetAttr(tensor.ptr(), name));
    if (!shape.is_valid()) throw nanobind::python_error();
    return new_like(tensor, shape);
}

// The values of a tensor on the CPU, one after the other: its memory, or a copy where they lie otherwise. Nothing is
// taken on trust: what is no tensor of this dtype with memory for all of its elements is an error.
template <class Real>
class Tensor {
   public:
    // Where PyTorch has just made it, for the engine, there is less to doubt.
    Tensor(nanobind::handle given, const char* what, bool is_new = false)
        : tensor_(nanobind::borrow(given)), what_(what), is_new_(is_new) {
        try {
            static const Method is_neg("is_neg"), resolve_neg("resolve_neg");
            if (!is_new && is_neg(tensor_).is(Py_True)) tensor_ = resolve_neg(tensor_);
            if (read_description()) return;
            require_kind();
            read();
        } catch (nanobind::python_error& error) {  // no tensor at all, or one that has no memory of its own
            if (!error.matches(PyExc_Exception)) throw;
            fail("a dense tensor on the CPU", described() + " (" + text(error.value()) + ")");
        }
    }

    Tensor(Tensor&&) = default;

    size_t size() const { return size_; }

    const Real* values() const { return data_; }
    const Real* values(size_t expected) const {
        if (size_ != expected)
            throw std::invalid_argument(std::string(what_) + ": expected " + std::to_string(expected) +
                                        " elements, got " + std::to_string(size_));
        return data_;
    }

    // The same of a new tensor, to be written.
    Real* target(size_t expected) const { return const_cast<Real*>(values(expected)); }
    // The memory of a new tensor, to be written.
    Real* target(nanobind::handle tensor) const {
        static const Method data_ptr("data_ptr");
        return static_cast<Real*>(PyLong_AsVoidPtr(data_ptr(tensor).ptr()));
    }
    // A new tensor of the same kind and shape.
    nanobind::object like() const { return new_like(tensor_); }
    // A new tensor of the same kind and that shape.
    nanobind::object like(size_t rows, size_t columns) const {
        return new_like(tensor_, nanobind::make_tuple(rows, columns));
    }

   private:
    // By one call of DLPack in place of many of PyTorch; whether that is all there is to know.
    bool read_description() {
        static PyObject* const type =
            nanobind::object(nanobind::module_::import_("torch").attr("Tensor")).release().ptr();
        static const dlpack::Table* const table = dlpack::table(type);
        if (table == nullptr || !PyObject_TypeCheck(tensor_.ptr(), (PyTypeObject*)type)) return false;
        dlpack::Tensor found{};
        if (table->describe(tensor_.ptr(), &found) != 0) {
            PyErr_Clear();  // what it is, is said where it is looked at in detail
            return false;
        }
        if (found.data == nullptr || found.device_type != dlpack::cpu || found.kind != dlpack::real ||
            found.bits != 8 * sizeof(Real) || found.lanes != 1)
            return false;
        data_ = reinterpret_cast<const Real*>(static_cast<const char*>(found.data) + found.byte_offset);
        size_ = 1;
        bool is_contiguous = true;
        for (int32_t axis = found.num_axes; axis-- > 0;) {
            is_contiguous &= found.extents[axis] == 1 || found.strides[axis] == int64_t(size_);
            size_ *= size_t(found.extents[axis]);
        }
        if (size_ == 0) return true;
        if (is_contiguous)
            require_memory(size_);
        else
            gather(found.extents, found.strides, size_t(found.num_axes));
        return true;
    }

    void require_kind() {
        static PyObject *const is_cpu = PyUnicode_InternFromString("is_cpu"), *const dtype =
                                                                                  PyUnicode_InternFromString("dtype");
        static PyObject* const wanted = nanobind::object(nanobind::module_::import_("torch").attr(
                                                             std::is_same_v<Real, float> ? "float32" : "float64"))
                                            .release()
                                            .ptr();
        if (!get(is_cpu).is(Py_True)) fail("a tensor on the CPU", described());
        if (!get(dtype).is(wanted)) fail(text(wanted), described());
    }

    void read() {
        static const Method is_contiguous("is_contiguous"), is_zero("_is_zerotensor");
        size_ = num_elements(tensor_);
        data_ = target(tensor_);
        if (size_ == 0) return;
        if (data_ == nullptr && is_zero(tensor_).is(Py_True)) {  // zeros that take no memory
            copy_.assign(size_, Real(0));
            data_ = copy_.data();
        } else if (is_contiguous(tensor_).is(Py_True)) {
            require_memory(size_);
        } else {
            static const Method stride("stride"), size("size");
            const auto strides = nanobind::cast<std::vector<int64_t>>(stride(tensor_));
            const auto extents = nanobind::cast<std::vector<int64_t>>(size(tensor_));
            gather(extents.data(), strides.data(), extents.size());
        }
    }

    // That the storage reaches from the first element of the tensor over `extent` elements.
    void require_memory(size_t extent) const {
        if (is_new_ && data_ != nullptr) return;
        static const Method untyped_storage("untyped_storage"), storage_offset("storage_offset"),
            nbytes("nbytes", "UntypedStorage");
        const size_t bytes = as_size(nbytes(untyped_storage(tensor_)));
        const size_t needed = (as_size(storage_offset(tensor_)) + extent) * sizeof(Real);
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

    // Copies the elements in the order of their indices. The gradient of a sum, the same number everywhere, comes as
    // one element with strides of 0; PyTorch itself takes longer to write it out.
    void gather(const int64_t* extents, const int64_t* strides, size_t num_axes) {
        size_t extent = 1;
        for (size_t axis = 0; axis < num_axes; ++axis) extent += size_t((extents[axis] - 1) * strides[axis]);
        require_memory(extent);
        copy_.reserve(size_);
        std::vector<int64_t> index(num_axes);
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

    nanobind::object tensor_;
    const char* what_;
    bool is_new_;
    const Real* data_ = nullptr;
    size_t size_ = 0;
    std::vector<Real> copy_;
};

}  // namespace qtm
