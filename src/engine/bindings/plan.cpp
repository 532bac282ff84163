// A program as the compiler hands it over.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>
#include <stdexcept>

#include "bindings.hpp"

namespace qtm::bindings {

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// Entries that the schema names, all of them and no others.
class KnownKeys {
   public:
    explicit KnownKeys(const nb::dict& entries) : entries_(entries) {}
    nb::handle operator[](const char* name) {
        ++count_;
        if (!entries_.contains(name)) throw std::invalid_argument(std::string("inconsistent program: no ") + name);
        return entries_[name];
    }
    void finish() const {
        if (entries_.size() != count_)
            throw std::invalid_argument("inconsistent program: entries that the schema lacks");
    }

   private:
    const nb::dict& entries_;
    size_t count_ = 0;
};

template <class Scalar>
void assign(std::vector<Scalar>& target, KnownKeys& arrays, const char* name) {
    const auto array = nb::cast<nb::ndarray<const Scalar, nb::ndim<1>, nb::c_contig, nb::device::cpu>>(arrays[name]);
    target.assign(array.data(), array.data() + array.size());
}

ProgramArrays arrays_of(const nb::dict& arrays, int num_qubits, int num_inputs, int num_weights) {
    ProgramArrays given;
    given.num_qubits = num_qubits;
    given.num_inputs = num_inputs;
    given.num_weights = num_weights;
    KnownKeys known(arrays);
#define QTM_ASSIGN(Scalar, name) assign(given.name, known, #name);
    QTM_PROGRAM_ARRAYS(QTM_ASSIGN)
#undef QTM_ASSIGN
#define QTM_ASSIGN(name) given.name = nb::cast<bool>(known[#name]);
    QTM_SWITCHES(QTM_ASSIGN)
#undef QTM_ASSIGN
    known.finish();
    return given;
}

std::optional<StepArrays> steps_of(const std::optional<nb::dict>& arrays) {
    if (!arrays) return std::nullopt;
    StepArrays given;
    KnownKeys known(*arrays);
#define QTM_ASSIGN(Scalar, name) assign(given.name, known, #name);
    QTM_STEP_ARRAYS(QTM_ASSIGN)
#undef QTM_ASSIGN
    given.layers_in_sweeps = nb::cast<double>(known[key::layers_in_sweeps]);
    given.reading_in_sweeps = nb::cast<double>(known[key::reading_in_sweeps]);
    known.finish();
    return given;
}

void construct(Plan* place, int num_qubits, int num_inputs, int num_weights, const nb::dict& arrays,
               const std::optional<nb::dict>& halved, const std::optional<nb::dict>& unjoined,
               const std::optional<nb::dict>& steps) {
    const auto given = [&](const nb::dict& of, int qubits) { return arrays_of(of, qubits, num_inputs, num_weights); };
    const auto from_halves = [&](const std::optional<nb::dict>& parts) -> std::unique_ptr<const Plan> {
        if (!parts) return nullptr;
        Plan::Halves halves{};
        halves.glue_bits = nb::cast<int>((*parts)[key::glue]);
        halves.relative_cost = nb::cast<double>((*parts)[key::relative_cost]);
        for (int i = 0; i < 2; ++i) {
            const auto [qubits, of_half] = nb::cast<std::pair<int, nb::dict>>((*parts)[i == 0 ? key::low : key::high]);
            ProgramArrays half = given(of_half, qubits);
            half.is_half = true;
            halves.half[size_t(i)] = std::make_unique<const Plan>(std::move(half));
        }
        return std::make_unique<const Plan>(given(nb::cast<nb::dict>((*parts)[key::rest]), num_qubits),
                                            std::move(halves));
    };
    new (place) Plan(given(arrays, num_qubits), {}, from_halves(halved), from_halves(unjoined), steps_of(steps));
}

}  // namespace

void bind_plan(Engine& engine) {
    engine.def("__init__", &construct, "num_qubits"_a, "num_inputs"_a, "num_weights"_a, "arrays"_a,
               "halved"_a = nb::none(), "unjoined"_a = nb::none(), "steps"_a = nb::none());
}

}  // namespace qtm::bindings
