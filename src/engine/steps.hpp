// The owner of the steps of a circuit: checks them and lays them out for the kernels.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "derived.hpp"
#include "parity.hpp"
#include "step.hpp"

namespace qtm {

// What the compiler hands over; the schema has the meaning of each array.
struct StepArrays {
#define QTM_ARRAY(Scalar, name) std::vector<Scalar> name;
    QTM_STEP_ARRAYS(QTM_ARRAY)
#undef QTM_ARRAY
    double layers_in_sweeps = 0, reading_in_sweeps = 0;
};

class Steps {
   public:
    // Throws std::invalid_argument where the arrays contradict each other.
    Steps(StepArrays arrays, int num_qubits, size_t num_angles);
    Steps(const Steps&) = delete;

    // What kernels of a precision read whose lanes hold `lane_bits` index bits: made when first asked for.
    template <class Real>
    StepsView<Real> view(int lane_bits) const;
    // Bytes of that, entries alone.
    template <class Real>
    size_t bytes() const;

    int most_rows() const;       // of a matrix
    bool hold_matrices() const;  // or diagonals
    // Passes over the state that take as long as the circuit's layers, and as what is read.
    double layers_in_sweeps() const { return given_.layers_in_sweeps; }
    double reading_in_sweeps() const { return given_.reading_in_sweeps; }

    // Complex products that the steps take for an amplitude.
    double products() const { return products_; }
    // What they take as long as where a vector holds so many amplitudes of a sample, and a rotation takes `rotation`
    // times as long.
    double products_spread(int at_once, double rotation) const;
    // The first step of a wanted angle; the number of steps: there is none.
    int first_wanted(const uint8_t* wanted_angle) const;

   private:
    template <class Real>
    struct Laid {
        std::vector<Real> entries;
        std::vector<StepView<Real>> step;
    };
    struct Controls {
        std::vector<uint32_t> next;
        std::vector<ControlsView> of_step;
    };
    template <class Visit>
    void for_each_product(Visit visit) const;
    template <class Real>
    std::unique_ptr<Laid<Real>> laid() const;
    template <class Real>
    const Derived<Laid<Real>>& slot() const;
    std::unique_ptr<Controls> controls(int lane_bits) const;

    size_t num_steps() const { return given_.kind.size(); }
    int bits(size_t step) const { return given_.qubit_begin[step + 1] - given_.qubit_begin[step]; }
    int stored_columns(size_t step) const;
    size_t stored_entries(size_t step) const;
    void check_sizes(size_t num_angles) const;
    void check_step(size_t step) const;
    void derive_cosets(size_t step);
    void reach(size_t step, Span& reached) const;

    StepArrays given_;
    int num_qubits_;
    double products_ = 0;  // asked in every call
    std::vector<size_t> offset_begin_{0}, next_begin_{0};
    std::vector<uint32_t> offset_, next_, first_, negative_;
    Derived<Laid<float>> single_;
    Derived<Laid<double>> double_;
    std::array<Derived<Controls>, most_lane_bits + 1> controls_;
};

}  // namespace qtm
