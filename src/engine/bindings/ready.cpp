// What a module is called with, where nothing has to be done before the engine reads it: one look at all tensors, which
// from Python takes as long as simulating a small circuit.
#include <nanobind/stl/optional.h>

#include <optional>

#include "../dlpack.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Classes of PyTorch live as long as the process.
PyTypeObject* class_of(const char* module, const char* name) {
    return reinterpret_cast<PyTypeObject*>(nb::object(nb::module_::import_(module).attr(name)).release().ptr());
}

// A tensor on the CPU, of floats or doubles; `bits` is that of all tensors, 0 before the first.
bool is_readable(const dlpack::Table& table, PyObject* given, dlpack::Tensor& found, int& bits) {
    if (table.describe(given, &found) != 0) {
        PyErr_Clear();  // whoever looks at it in detail says what it is
        return false;
    }
    if (bits == 0) bits = found.bits;
    return found.device_type == dlpack::cpu && found.kind == dlpack::real && found.lanes == 1 && found.bits == bits &&
           (bits == 32 || bits == 64);
}

std::optional<nb::tuple> ready_variables(nb::handle input, const nb::dict& parameters, const nb::sequence& names,
                                         int64_t width) {
    static PyTypeObject* const tensor = class_of("torch", "Tensor");
    static PyTypeObject* const parameter = class_of("torch.nn", "Parameter");
    static const dlpack::Table* const table = dlpack::table((PyObject*)tensor);
    const nb::object all = nb::steal(PySequence_Fast(names.ptr(), "names: expected a sequence"));
    if (!all.is_valid()) throw nb::python_error();
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(all.ptr());
    PyObject** const name = PySequence_Fast_ITEMS(all.ptr());
    if (table == nullptr || count == 0) return std::nullopt;
    if (Py_TYPE(input.ptr()) != tensor && Py_TYPE(input.ptr()) != parameter) return std::nullopt;
    dlpack::Tensor found{};
    int bits = 0;
    if (!is_readable(*table, input.ptr(), found, bits) || found.num_axes != 2 || found.extents[1] != width)
        return std::nullopt;
    auto variables = nb::steal<nb::tuple>(PyTuple_New(1 + count));
    if (!variables.is_valid()) throw nb::python_error();
    PyTuple_SET_ITEM(variables.ptr(), 0, nb::borrow(input).release().ptr());
    for (Py_ssize_t i = 0; i < count; ++i) {
        PyObject* const one = PyDict_GetItemWithError(parameters.ptr(), name[i]);
        if (one == nullptr && PyErr_Occurred()) throw nb::python_error();
        if (one == nullptr || Py_TYPE(one) != parameter || !is_readable(*table, one, found, bits)) return std::nullopt;
        PyTuple_SET_ITEM(variables.ptr(), 1 + i, nb::borrow(one).release().ptr());
    }
    return variables;
}

}  // namespace

void bind_ready(nb::module_& module) {
    module.def("ready_variables", &ready_variables, "input"_a.none(), "parameters"_a, "names"_a, "width"_a,
               "The input and the parameters of these names, in a tuple, where all are plain tensors on the CPU of one "
               "dtype, float32 or float64, and the input has the shape (any, width); otherwise, and where PyTorch does "
               "not tell in one call, None.");
}

}  // namespace qtm::bindings
