// The owner of a program's arrays: checks what the compiler hands over and derives what the kernels need on top.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "arrays.hpp"
#include "derived.hpp"
#include "program.hpp"
#include "steps.hpp"
#include "sweeps.hpp"

namespace qtm {

class Plan {
   public:
    // What a circuit starts from in place of its first layer; nothing: from |0...0>.
    struct Halves {
        std::array<std::unique_ptr<const Plan>, 2> half;  // low and high
        int32_t glue_bits;
        double relative_cost;
    };

    // `halved`: the same circuit from halves on, if there are any; `steps`: the same step by step, which is how a
    // circuit that holds matrices, and has no layers, must run, and others had better. Throws std::invalid_argument
    // where the arrays contradict each other.
    // `unjoined`: and from halves that stay apart.
    explicit Plan(ProgramArrays arrays, Halves halves = {}, std::unique_ptr<const Plan> halved = nullptr,
                  std::unique_ptr<const Plan> unjoined = nullptr, std::optional<StepArrays> steps = std::nullopt);
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;

    const ProgramView& view() const { return common_; }
    // No two plans of a process have the same.
    uint64_t number() const { return number_; }
    // For kernels whose lanes hold `lane_bits` index bits, with the last layer absorbed by the observables if that is
    // allowed and possible, for one thread or a team; null where the circuit cannot be run so. Derived when first asked
    // for.
    const ProgramView* view(int lane_bits, bool may_absorb, bool is_team) const;

    // The halves that it starts from; null: it does not.
    const Plan* half(int i) const { return halves_.half[size_t(i)].get(); }
    // The same circuit from halves on, or null.
    const Plan* halved() const { return halved_.get(); }
    // The same circuit from halves that are never joined, or null.
    const Plan* unjoined() const { return unjoined_.get(); }

    // The steps of a circuit that runs step by step, or null; what else kernels read of it.
    const Steps* steps() const { return steps_.get(); }
    const ProgramView& stepwise_view(int lane_bits) const { return stepwise_[size_t(lane_bits)]; }

    // Runs, layers and phases that hold an angle depending on a wanted variable.
    struct Selection {
        std::vector<uint8_t> angle, run, phase;
        std::vector<Selection> halves;
        Wanted wanted{};
    };
    Selection select(const uint8_t* wanted_variable, Derivative derivative) const;

   private:
    struct Geometry {
        Sweeps sweeps;
        ProgramView view;
    };

    void check_halves() const;
    void check_words() const;
    bool is_unjoined() const { return !given_.gram_half.empty(); }
    void derive_variation();
    void derive_absorption();
    void link();

    uint64_t number_;
    ProgramArrays given_;
    Halves halves_;
    std::unique_ptr<const Plan> halved_, unjoined_;
    std::unique_ptr<const Steps> steps_;
    std::vector<uint8_t> angle_varies_, run_is_real_, run_is_turned_, run_varies_, layer_varies_, phase_varies_;
    std::vector<int32_t> term_run_;
    std::vector<uint8_t> run_is_measured_;
    bool can_absorb_ = false;
    ProgramView common_{};
    std::array<ProgramView, most_lane_bits + 1> stepwise_{};  // by lane bits
    std::array<Derived<Geometry>, 2 * 2 * (most_lane_bits + 1)> geometry_;
};

}  // namespace qtm
