// The owner of the steps of a circuit that holds matrices: checks them and lays them out for the kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "derived.hpp"
#include "step.hpp"

namespace qtm {

// What the compiler hands over, one entry a step; those that a kind has no use for are 0.
struct StepArrays {
    std::vector<int32_t> kind, angle;
    std::vector<uint32_t> x, z;
    std::vector<int32_t> qubit_begin;  // [steps + 1] into the three that follow: qubits of matrices and diagonals
    std::vector<uint32_t> qubit_flip, qubit_sign;
    std::vector<uint8_t> qubit_is_negative;
    std::vector<int32_t> columns;
    // [steps + 1] into entries: of a matrix (real, imaginary), row after row; of a diagonal its energies.
    std::vector<int64_t> entry_begin;
    std::vector<double> entries;
};

class Steps {
   public:
    // Throws std::invalid_argument where the arrays contradict each other.
    Steps(StepArrays arrays, int num_qubits, size_t num_angles);
    Steps(const Steps&) = delete;

    // What the kernels of a precision read: made when first asked for.
    template <class Real>
    const StepsView<Real>& view() const;
    // Bytes of that, entries alone.
    template <class Real>
    size_t bytes() const;

    int most_rows() const;  // of a matrix

    // Complex products that the steps take for an amplitude, where `cosets` of a matrix are done at once.
    double products(int cosets) const;
    // The first step of a wanted angle; the number of steps: there is none.
    int first_wanted(const uint8_t* wanted_angle) const;

   private:
    template <class Real>
    struct Laid {
        std::vector<Real> entries;
        std::vector<StepView<Real>> step;
        StepsView<Real> view{};
    };
    template <class Real>
    std::unique_ptr<Laid<Real>> laid() const;
    template <class Real>
    const Derived<Laid<Real>>& slot() const;

    size_t num_steps() const { return given_.kind.size(); }
    int bits(size_t step) const { return given_.qubit_begin[step + 1] - given_.qubit_begin[step]; }
    int stored_columns(size_t step) const;
    size_t stored_entries(size_t step) const;
    void check_sizes(size_t num_angles) const;
    void check_step(size_t step) const;
    void derive_cosets(size_t step);

    StepArrays given_;
    int num_qubits_;
    std::vector<size_t> offset_begin_{0}, next_begin_{0};
    std::vector<uint32_t> offset_, next_, first_, negative_;
    Derived<Laid<float>> single_;
    Derived<Laid<double>> double_;
};

}  // namespace qtm
