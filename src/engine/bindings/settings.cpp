// What holds for the whole process: instruction sets, memory, and what tests and measurements force.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "../dispatch.hpp"
#include "../memory.hpp"
#include "../openmp.hpp"
#include "../processors.hpp"
#include "../schedule.hpp"
#include "../scratch.hpp"
#include "../threads.hpp"
#include "bindings.hpp"

namespace qtm::bindings {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// A whole number of bytes, as an int, a whole float such as 8e9, or what counts as an int (NumPy's).
std::optional<size_t> bytes_of(nb::handle given) {
    const auto refuse = [&] {
        throw nb::value_error(
            ("set_memory_budget: expected a whole number of bytes above 0, such as 8e9, or None for half "
             "of what this process may take; got " +
             std::string(nb::repr(given).c_str()))
                .c_str());
    };
    if (given.is_none()) return std::nullopt;
    if (PyFloat_Check(given.ptr())) {
        const double bytes = PyFloat_AS_DOUBLE(given.ptr());
        if (!(bytes >= 1 && bytes < 0x1p63 && bytes == std::floor(bytes))) refuse();
        return size_t(bytes);
    }
    if (PyBool_Check(given.ptr()) || !PyIndex_Check(given.ptr())) refuse();
    const nb::object whole = nb::steal(PyNumber_Index(given.ptr()));
    if (!whole.is_valid()) throw nb::python_error();
    int overflow = 0;
    const long long bytes = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    if (overflow != 0 || bytes < 1) refuse();
    return size_t(bytes);
}

nb::list storages() {
    constexpr const char* modes[] = {"values", "gradient_keeping_kets", "gradient_undoing_kets"};
    constexpr const char* taped[] = {"nothing", "all_but_kets", "all", "all_but_spent_kets"};
    nb::list found;
    for (const Storage& one : legal_storages)
        found.append(nb::make_tuple(modes[size_t(one.mode)], taped[size_t(one.taped)], one.shares_prefix, one.is_team,
                                    one.saves_ket));
    return found;
}

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const Implementation* implementation : supported_implementations()) names.emplace_back(implementation->name);
    return names;
}

}  // namespace

void bind_settings(nb::module_& module) {
    module.def("instruction_sets", &instruction_sets, "Those this processor supports, best first.");
    module.def("instruction_set", [] { return std::string(implementation().name); }, "The one in use.");
    module.def("force_instruction_set", &force_implementation, "name"_a,
               "Changes the one in use; '' chooses as at start (QTM_INSTRUCTION_SET, else the best).");
    nb::enum_<Layouts>(module, "Layouts", "How states may lie in memory.")
        .value("any", Layouts::any, "Whichever is faster.")
        .value("batched", Layouts::batched, "A sample in every lane.")
        .value("mixed", Layouts::mixed, "A few samples, each with some of its amplitudes in lanes.")
        .value("spread", Layouts::spread, "One sample, its amplitudes in the lanes.");
    module.def("allow_layouts", &allow_layouts, "layouts"_a, "For tests and measurements.");
    module.def(
        "force_halves",
        [](bool forces, bool unjoined) {
            force_halving(!forces ? Halving::any : unjoined ? Halving::unjoined : Halving::joined);
        },
        "forces"_a, "unjoined"_a = false,
        "Whether circuits start from halves, or stay in halves, wherever they can, or do what is faster. For tests.");
    module.def("force_steps", &force_steps, "forces"_a,
               "For tests and measurements: circuits run step by step wherever they can.");
    module.def("force_openmp", &force_openmp, "forces"_a,
               "For tests and measurements: calls run on the threads of PyTorch's OpenMP wherever they can.");
    module.def("openmp_threads", &openmp_threads, "How many these are; 0: none that may be asked.");
    module.def("borrows_threads", &borrows_threads, "Whether calls of this thread go to them at present.");
    module.def(
        "legal_storages", &storages,
        "Every way in which a batch may be stored: mode, what a tape keeps, whether tiles share a prefix, whether "
        "threads share a state, whether kets are saved from one adjoint pass to the next.");
    module.def("prefer_storage", &prefer_storage, "number"_a,
               "For tests: batches are stored in this one of them wherever they can be; -1: as is fastest.");
    module.def("poison_scratch", &poison_scratch, "poisons"_a,
               "For tests: scratch memory starts as NaN, so that nothing is read before it is written.");
    module.def("memory_budget", &memory_budget, "Most bytes of scratch memory that one call may take.");
    module.def(
        "set_memory_budget", [](nb::handle bytes) { set_memory_budget(bytes_of(bytes)); }, "bytes"_a.none(),
        "Sets the most bytes of scratch memory that one call may take. None: half of what this process may take, by "
        "physical memory, the limits of its container, and its limits on address space and data.");
    module.def("memory_limit", &memory_limit, "root"_a = "",
               "What this process may take, going by the files of the system below `root`.");
    module.def("processor_quota", &processor_quota, "root"_a = "",
               "Processors that the container of this process may use, likewise; 0: no limit.");
    module.def("assume_processors", &assume_processors, "count"_a,
               "For tests: as if this process could use so many; 0: as many as it can.");
}

}  // namespace qtm::bindings
