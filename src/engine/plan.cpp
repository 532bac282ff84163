#include "plan.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "checks.hpp"
#include "parity.hpp"
#include "require.hpp"

namespace qtm {

Plan::Plan(ProgramArrays arrays, Halves halves, std::unique_ptr<const Plan> halved,
           std::unique_ptr<const Plan> unjoined, std::optional<StepArrays> steps)
    : given_(std::move(arrays)),
      halves_(std::move(halves)),
      halved_(std::move(halved)),
      unjoined_(std::move(unjoined)) {
    static std::atomic<uint64_t> count{0};
    number_ = ++count;
    check(given_, half(0) != nullptr);
    check_halves();
    derive_variation();
    derive_absorption();
    check_words();
    link();
    if (!steps) return;
    require(unjoined_ == nullptr && half(0) == nullptr, "steps of what begins as a whole");
    steps_ = std::make_unique<const Steps>(std::move(*steps), given_.num_qubits, given_.angle_constant.size());
    require(common_.num_layers == 0 || !steps_->hold_matrices(), "steps beside layers");
    for (int lane_bits = 0; lane_bits <= most_lane_bits; ++lane_bits) {
        ProgramView& view = stepwise_[size_t(lane_bits)];
        view = common_;
        view.lane_bits = lane_bits;
        view.num_layers = view.num_runs = view.prefix_layers = 0;
        if (common_.output == Output::state) view.state_phase = given_.state_phase.data() + 1;
    }
}

void Plan::check_halves() const {
    if (half(0) == nullptr) return;
    const int most = is_unjoined() ? most_unjoined_glue_bits : most_glue_bits;
    require(half(1) != nullptr && halves_.glue_bits >= 0 && halves_.glue_bits <= most, "halves");
    int32_t num_qubits = -2 * halves_.glue_bits;
    for (const auto& one : halves_.half) {
        require(one->given_.is_half && one->given_.num_inputs == given_.num_inputs &&
                    one->given_.num_weights == given_.num_weights,
                "a half");
        require(one->given_.num_qubits > halves_.glue_bits, "qubits of a half");
        num_qubits += one->given_.num_qubits;
    }
    require(num_qubits == given_.num_qubits, "qubits of the halves");
}

void Plan::check_words() const {
    const ProgramArrays& a = given_;
    if (!is_unjoined()) return require(a.reading_word.empty(), "words");
    require(half(0) != nullptr && a.layer_run_begin.size() <= 3 && a.character_mask.empty() && !a.reads_amplitudes(),
            "what is read of halves that stay apart");
    const auto is_own = [&](int32_t i, uint32_t mask) {
        return mask >> (half(i)->given_.num_qubits - halves_.glue_bits) == 0;
    };
    for (size_t g = 0; g < a.gram_half.size(); ++g) {
        const int32_t own = a.gram_half[g];
        require(is_own(own, a.gram_x[g]) && is_own(own, a.gram_z[g]), "half-words");
        for (int32_t w = a.gram_word_begin[g]; w < a.gram_word_begin[g + 1]; ++w)
            require(is_own(1 - own, a.word_x[size_t(w)]) && is_own(1 - own, a.word_z[size_t(w)]), "half-words");
    }
    const size_t layers = a.layer_run_begin.size() - 1;
    require(can_absorb_ == (layers == 2), "a last layer");
    require(a.reading_word.size() == 3 * a.run_x.size() + a.pauli_z.size(), "what is read of halves that stay apart");
}

const ProgramView* Plan::view(int lane_bits, bool may_absorb, bool is_team) const {
    // An imaginary derivative is not one of what is read.
    if (is_unjoined() && !may_absorb) return nullptr;
    // Fewer vectors than that make no block.
    if (lane_bits > 0 && given_.num_qubits < lane_bits + int(least_block_bits)) return nullptr;
    // Rows of the state are whole vectors.
    if (half(0) != nullptr && half(0)->given_.num_qubits - halves_.glue_bits < lane_bits) return nullptr;
    // Threads of a team have halves of their own.
    std::array<const ProgramView*, 2> halves{};
    for (int i = 0; i < 2 && half(i) != nullptr; ++i)
        if ((halves[size_t(i)] = half(i)->view(lane_bits, may_absorb, false)) == nullptr) return nullptr;
    const bool absorbs = may_absorb && can_absorb_;
    const auto derive = [&] {
        std::unique_ptr<Geometry> geometry(
            new Geometry{Sweeps(given_, lane_bits, absorbs ? &run_is_measured_ : nullptr, is_team), common_});
        geometry->sweeps.link(geometry->view);
        geometry->view.absorbs = absorbs;
        std::copy(halves.begin(), halves.end(), geometry->view.half);
        return geometry;
    };
    return &geometry_[4 * size_t(lane_bits) + 2 * size_t(absorbs) + size_t(is_team)].get(derive).view;
}

void Plan::derive_variation() {
    const ProgramArrays& a = given_;
    for (size_t i = 0; i < a.angle_constant.size(); ++i) {
        bool varies = false;
        for (int32_t f = a.term_factor_begin[a.angle_term_begin[i]]; f < a.term_factor_begin[a.angle_term_begin[i + 1]];
             ++f)
            varies |= a.factor_variable[f] < a.num_inputs;
        angle_varies_.push_back(varies);
    }
    for (size_t r = 0; r < a.run_x.size(); ++r) {
        bool real = true, varies = false;
        for (int32_t g = a.run_gate_begin[r]; g < a.run_gate_begin[r + 1]; ++g) {
            real &= a.gate_axis[g] == axis_y;
            varies |= bool(angle_varies_[a.gate_angle[g]]);
        }
        run_is_real_.push_back(real);
        const auto axes = a.gate_axis.begin() + a.run_gate_begin[r],
                   end = a.gate_axis.begin() + a.run_gate_begin[r + 1];
        const auto turn = std::find_if(axes, end, [](auto axis) { return axis != axis_y; });
        run_is_turned_.push_back(turn != axes && turn != end &&
                                 std::all_of(turn, end, [](auto axis) { return axis == axis_z; }));
        run_varies_.push_back(varies);
    }
    const size_t num_layers = a.layer_run_begin.size() - 1;
    for (size_t l = 0; l < num_layers; ++l)
        layer_varies_.push_back(std::any_of(run_varies_.begin() + a.layer_run_begin[l],
                                            run_varies_.begin() + a.layer_run_begin[l + 1], [](bool v) { return v; }));
    for (size_t phase = 0; phase <= num_layers; ++phase) {
        bool varies = phase < num_layers && layer_varies_[phase];
        const int32_t first = a.character_source_begin[a.phase_character_begin[phase]];
        const int32_t last = a.character_source_begin[a.phase_character_begin[phase + 1]];
        for (int32_t s = first; s < last; ++s)
            varies |= bool(a.source_kind[s] == source_rotation ? angle_varies_[a.source_index[s]]
                                                               : run_varies_[a.source_index[s]]);
        phase_varies_.push_back(varies);
    }
    int32_t& prefix = common_.prefix_layers;
    // That of halves is theirs.
    while (a.shares_prefix && half(0) == nullptr && prefix + 1 < int32_t(num_layers) &&
           !layer_varies_[size_t(prefix)] && !(prefix > 0 && phase_varies_[size_t(prefix)]))
        ++prefix;
}

// A term is absorbed where it is the Z of a run of the last layer, and left alone where it commutes with all of them.
void Plan::derive_absorption() {
    const ProgramArrays& a = given_;
    const size_t num_layers = a.layer_run_begin.size() - 1;
    term_run_.assign(a.pauli_z.size(), -1);
    run_is_measured_.assign(a.run_x.size(), 0);
    if (!a.absorbs_observables || num_layers < 2 || a.flip_mask.size() != 1 || a.flip_mask[0] != 0) return;
    for (size_t t = 0; t < a.pauli_z.size(); ++t) {
        for (int32_t r = a.layer_run_begin[num_layers - 1]; r < a.layer_run_begin[num_layers]; ++r) {
            if (!odd(a.run_x[r] & a.pauli_z[t])) continue;
            if (a.run_z[r] != a.pauli_z[t]) return;
            term_run_[t] = r;
            run_is_measured_[r] = 1;
        }
    }
    can_absorb_ = std::count(run_is_measured_.begin(), run_is_measured_.end(), 1) > 0;
    common_.has_unabsorbed_terms = std::count(term_run_.begin(), term_run_.end(), -1) > 0;
}

void Plan::link() {
    const ProgramArrays& a = given_;
    common_.num_qubits = a.num_qubits;
    common_.num_inputs = a.num_inputs;
    common_.num_weights = a.num_weights;
    common_.num_angles = int32_t(a.angle_constant.size());
    common_.num_runs = int32_t(a.run_x.size());
    common_.num_layers = int32_t(a.layer_run_begin.size()) - 1;
    common_.num_observables = int32_t(a.observable_constant.size());
    common_.num_flips = int32_t(a.flip_mask.size());
    common_.output = a.reads_state()        ? Output::state
                     : a.reads_amplitudes() ? Output::probabilities
                                            : Output::expectation_values;
    common_.num_values =
        a.reads_amplitudes() ? (a.reads_state() ? int64_t(2) : 1) << a.num_qubits : common_.num_observables;
    common_.last_phase_acts = last_phase_acts(a);
    common_.observable_energy = -1;
    for (int32_t i = 0; i < common_.num_angles; ++i) {
        double scale = std::abs(a.angle_constant[size_t(i)]);
        for (int32_t t = a.angle_term_begin[size_t(i)]; t < a.angle_term_begin[size_t(i) + 1]; ++t) {
            scale += std::abs(a.term_coefficient[size_t(t)]);
            common_.angle_degree =
                std::max(common_.angle_degree, a.term_factor_begin[size_t(t) + 1] - a.term_factor_begin[size_t(t)]);
        }
        common_.angle_scale = std::max(common_.angle_scale, scale);
    }
    common_.glue_bits = halves_.glue_bits;
    common_.relative_cost = halves_.relative_cost;
    common_.is_unjoined = is_unjoined();
    common_.num_grams = int32_t(a.gram_half.size());
    common_.num_words = int32_t(a.word_x.size());
    for (size_t g = 0; g < a.gram_half.size(); ++g) {
        int32_t flips = 0;
        for (int32_t w = a.gram_word_begin[g]; w < a.gram_word_begin[g + 1]; ++w)
            flips += w == a.gram_word_begin[g] || a.word_x[size_t(w)] != a.word_x[size_t(w) - 1];
        common_.most_flips = std::max(common_.most_flips, flips);
    }
#define QTM_LINK(Scalar, name) common_.name = a.name.data();
    QTM_PROGRAM_ARRAYS(QTM_LINK)
#undef QTM_LINK
#define QTM_LINK(name) common_.name = name##_.data()
    QTM_LINK(angle_varies);
    QTM_LINK(run_is_real);
    QTM_LINK(run_is_turned);
    QTM_LINK(run_varies);
    QTM_LINK(layer_varies);
    QTM_LINK(phase_varies);
    QTM_LINK(term_run);
    QTM_LINK(run_is_measured);
#undef QTM_LINK
}

Plan::Selection Plan::select(const uint8_t* wanted_variable, Derivative derivative) const {
    const ProgramArrays& a = given_;
    Selection s;
    const int32_t num_layers = common_.num_layers;
    for (int32_t i = 0; i < common_.num_angles; ++i) {
        bool wanted = false;
        for (int32_t f = a.term_factor_begin[a.angle_term_begin[i]]; f < a.term_factor_begin[a.angle_term_begin[i + 1]];
             ++f)
            wanted |= wanted_variable[a.factor_variable[f]] != 0;
        s.angle.push_back(wanted);
    }
    s.wanted.first_layer = num_layers;
    s.phase.assign(size_t(num_layers) + 1, 0);
    for (int32_t layer = num_layers - 1; layer >= 0; --layer) {
        bool in_layer = false;
        // The last phase shows only where an observable flips bits, or in an imaginary derivative.
        const bool phase_shows =
            layer + 1 < num_layers || common_.last_phase_acts || derivative == Derivative::imaginary;
        for (int32_t c = a.phase_character_begin[layer + 1]; c < a.phase_character_begin[layer + 2]; ++c)
            for (int32_t i = a.character_source_begin[c]; i < a.character_source_begin[c + 1]; ++i)
                s.phase[layer + 1] |= phase_shows && a.source_kind[i] == source_rotation && s.angle[a.source_index[i]];
        for (int32_t g = a.run_gate_begin[a.layer_run_begin[layer]]; g < a.run_gate_begin[a.layer_run_begin[layer + 1]];
             ++g)
            in_layer |= bool(s.angle[a.gate_angle[g]]);
        if (in_layer || s.phase[layer + 1]) s.wanted.first_layer = layer;
    }
    for (int32_t r = 0; r < common_.num_runs; ++r) {
        bool wanted = false;
        for (int32_t g = a.run_gate_begin[r]; g < a.run_gate_begin[r + 1]; ++g)
            wanted |= bool(s.angle[a.gate_angle[g]]);
        s.run.push_back(wanted);
    }
    for (int i = 0; i < 2 && half(i) != nullptr; ++i) s.halves.push_back(half(i)->select(wanted_variable, derivative));
    for (size_t i = 0; i < s.halves.size(); ++i) {
        s.wanted.half[i] = &s.halves[i].wanted;
        if (s.halves[i].wanted.first_layer < half(int(i))->view().num_layers) s.wanted.first_layer = 0;
    }
    s.wanted.angle = s.angle.data();
    s.wanted.run = s.run.data();
    s.wanted.phase = s.phase.data();
    return s;
}

}  // namespace qtm
