#include "sweeps.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "parity.hpp"
#include "tuning.hpp"

namespace qtm {

using namespace tuning;

namespace {

// Spread over eight lanes or more, 2^8 vectors of bra and ket are too much for the first cache.
size_t most_whole(int lane_bits) { return lane_bits <= 2 ? most_whole_runs : most_whole_runs - 1; }

}  // namespace

bool last_phase_acts(const ProgramArrays& a) {
    if (a.needs_all()) return true;
    const size_t last = a.layer_run_begin.size() - 1;
    return a.phase_character_begin[last] < a.phase_character_begin[last + 1] &&
           std::any_of(a.flip_mask.begin(), a.flip_mask.end(), [](uint32_t mask) { return mask != 0; });
}

Sweeps::Sweeps(const ProgramArrays& arrays, int lane_bits, const std::vector<uint8_t>* measured_run, bool is_team)
    : given_(arrays),
      lane_bits_(lane_bits),
      is_large_(!is_team && (lane_bits == 0 || has_large_blocks(arrays.num_qubits, lane_bits))),
      most_runs_(is_team     ? most_team_runs
                 : is_large_ ? most_runs_of_layer
                             : most_whole_runs),
      energies_(arrays.num_qubits) {
    const int num_layers = int(given_.layer_run_begin.size()) - 1;
    for (int layer = 0; layer < num_layers; ++layer) {
        split_layer(layer, layer + 1 == num_layers ? measured_run : nullptr);
        layer_sweep_begin_.push_back(int32_t(sweep_bits_.size()));
    }
    add_sweep({}, {}, 0, num_layers);
    number_kets(measured_run != nullptr);
    order_product();
    add_phases();
    in_order_ = num_layers > 0 && is_large_ && sweep_bits_.size() == size_t(num_layers) + 1;
    for (size_t sweep = 0; sweep < sweep_bits_.size(); ++sweep)
        for (uint32_t column : columns(sweep)) sweep_order_.push_back(column);
    lie_in_order();
    add_energies();
}

// An absorbed layer has a single ket, that before its rotations.
void Sweeps::number_kets(bool absorbs) {
    const int num_layers = int(layer_sweep_begin_.size()) - 1;
    sweep_ket_.assign(sweep_bits_.size(), 0);
    int32_t last = 0;
    for (int layer = 1; layer < num_layers; ++layer) {
        const int32_t begin = layer_sweep_begin_[size_t(layer)], end = layer_sweep_begin_[size_t(layer) + 1];
        for (int32_t s = begin; s < end; ++s)
            sweep_ket_[size_t(s)] = s == begin + 1 || (s > begin && absorbs && layer + 1 == num_layers) ? last : ++last;
    }
    if (num_layers > 0) sweep_ket_.back() = last + 1;
}

// As few sweeps as possible, of about the same size; flips of one sweep must reach different vectors, but for those of
// its lane runs.
void Sweeps::split_layer(int layer, const std::vector<uint8_t>* swept_run) {
    std::vector<int32_t> only_lanes, runs;
    for (int32_t r = given_.layer_run_begin[layer]; r < given_.layer_run_begin[layer + 1]; ++r)
        if (swept_run == nullptr || (*swept_run)[size_t(r)])
            (given_.run_x[r] >> lane_bits_ == 0 ? only_lanes : runs).push_back(r);
    const bool is_measured = swept_run != nullptr && !is_large_;
    const size_t most_runs = is_measured ? most_measured_runs : most_runs_;
    // A sweep turns no more bits than there are in a vector's number; its lane runs come on top.
    const size_t bits = size_t(given_.num_qubits - lane_bits_), most_across = size_t(lane_bits_) - only_lanes.size();
    const size_t count = bits <= most_runs ? 1 : std::max<size_t>(1, (runs.size() + most_runs - 1) / most_runs);
    const size_t most = (runs.size() + count - 1) / count;
    std::vector<std::vector<int32_t>> sweeps(count), across(count);
    std::vector<Span> spans(count);
    for (int32_t r : runs) {
        const uint32_t flip = given_.run_x[r] >> lane_bits_;
        size_t s = 0;
        while (s < sweeps.size() && (sweeps[s].size() >= most || !spans[s].add_if_independent(flip))) ++s;
        if (s == sweeps.size()) {
            size_t t = 0;
            while (t < s && (across[t].size() >= most_across || !spans[t].holds(flip))) ++t;
            if (t < s) {
                across[t].push_back(r);
                continue;
            }
            sweeps.emplace_back();
            across.emplace_back();
            spans.emplace_back().add_if_independent(flip);
        }
        sweeps[s].push_back(r);
    }
    across.back().insert(across.back().begin(), only_lanes.begin(), only_lanes.end());
    for (size_t s = 0; s < sweeps.size(); ++s)
        add_sweep(sweeps[s], across[s], is_measured ? most_near_bits : 0, s == 0 ? layer : 0);
}

// `phase`: the one that is applied on the way in; 0: none.
void Sweeps::add_sweep(const std::vector<int32_t>& runs, const std::vector<int32_t>& lane_runs, int most_near,
                       int phase) {
    std::vector<int32_t> turning = runs;
    turning.insert(turning.end(), lane_runs.begin(), lane_runs.end());
    Span reached;
    for (int32_t r : runs) reached.add_if_independent(given_.run_x[r] >> lane_bits_);
    // What completes the flips to all vectors: unit vectors, moved to where every run of the sweep has virtual bit 0.
    std::vector<uint32_t> flips, rest;
    for (int bit = lane_bits_; bit < given_.num_qubits; ++bit) {
        const uint32_t unit = uint32_t(1) << bit;
        if (!reached.add_if_independent(unit >> lane_bits_)) continue;
        uint32_t moved = unit;
        for (int32_t r : turning)
            if (odd(unit & given_.run_z[r])) moved ^= given_.run_x[r];
        (bit < lane_bits_ + most_near ? flips : rest).push_back(moved);
    }
    sweep_near_bits_.push_back(int32_t(flips.size()));
    for (int32_t r : runs) flips.push_back(given_.run_x[r]);
    const size_t bits = flips.size(), passive = passive_bits(flips, rest, phase);
    flips.insert(flips.end(), rest.begin(), rest.begin() + ptrdiff_t(passive));
    std::vector<uint32_t> offsets{0};
    for (uint32_t flip : flips)
        for (size_t j = 0, size = offsets.size(); j < size; ++j) offsets.push_back(offsets[j] ^ flip);

    sweep_run_.insert(sweep_run_.end(), runs.begin(), runs.end());
    sweep_run_begin_.push_back(int32_t(sweep_run_.size()));
    for (int32_t r : lane_runs) add_lane_run(runs, reached, r);
    sweep_lane_run_begin_.push_back(int32_t(sweep_lane_run_.size()));
    const size_t inner = bits > most_whole(lane_bits_) ? part_runs : flips.size();
    sweep_bits_.push_back(int32_t(inner));
    sweep_outer_bits_.push_back(int32_t(flips.size() - inner));
    sweep_basis_.insert(sweep_basis_.end(), flips.begin() + ptrdiff_t(inner), flips.end());
    sweep_offset_.insert(sweep_offset_.end(), offsets.begin(), offsets.end());
    sweep_offset_begin_.push_back(int32_t(sweep_offset_.size()));
    sweep_basis_.insert(sweep_basis_.end(), rest.begin() + ptrdiff_t(passive), rest.end());
    sweep_basis_begin_.push_back(int32_t(sweep_basis_.size()));
}

// What its partners are in the block of these runs, whose flips are the first that reach all vectors; it begins with
// bits of neighbours.
void Sweeps::add_lane_run(const std::vector<int32_t>& runs, Span& reached, int32_t run) {
    const uint32_t across = *reached.coordinates(given_.run_x[run] >> lane_bits_);
    uint32_t flip = given_.run_x[run];
    for (size_t q = 0; q < runs.size(); ++q)
        if (across >> q & 1) flip ^= given_.run_x[runs[q]];
    sweep_lane_run_.push_back(run);
    sweep_lane_flip_.push_back(flip);
    sweep_lane_partner_.push_back(across << sweep_near_bits_.back());
}

// How many vectors of `rest`, which nothing turns, fill a block of these flips: as many as leave no character without a
// table that has one in the smallest block. A phase by itself has blocks of one size.
size_t Sweeps::passive_bits(const std::vector<uint32_t>& flips, const std::vector<uint32_t>& rest, int phase) const {
    const auto untabled = [&](size_t count) {
        const auto middle = rest.begin() + ptrdiff_t(count);
        std::vector<uint32_t> filled = flips;
        filled.insert(filled.end(), rest.begin(), middle);
        return num_untabled(filled, {middle, rest.end()}, phase);
    };
    const auto at_most = [&](size_t size) {
        return std::min(rest.size(), std::max(flips.size(), size) - flips.size());
    };
    const size_t least = at_most(flips.empty() ? part_runs : least_block_bits);
    size_t count = at_most(part_runs);
    if (count == least) return count;
    const size_t unavoidable = untabled(least);
    while (count > least && untabled(count) > unavoidable) --count;
    return count;
}

void Sweeps::order_product() {
    if (given_.layer_run_begin.size() < 2) return;
    std::vector<int32_t> others;
    Span reached;
    for (int32_t r = 0; r < given_.layer_run_begin[1]; ++r) {
        if (given_.run_x[r] >> lane_bits_ == 0) {
            product_run_.push_back(r);
        } else {
            others.push_back(r);
            product_is_scattered_ |= !reached.add_if_independent(given_.run_x[r] >> lane_bits_);
        }
    }
    num_product_lane_runs_ = int32_t(product_run_.size());
    product_run_.insert(product_run_.end(), others.begin(), others.end());
}

// Where bit i of a place is alone set, the index at that place, if a state lies in the order of a sweep.
std::vector<uint32_t> Sweeps::columns(size_t sweep) const {
    std::vector<uint32_t> found;
    if (!in_order_) {
        for (int bit = 0; bit < given_.num_qubits; ++bit) found.push_back(uint32_t(1) << bit);
        return found;
    }
    for (int bit = 0; bit < lane_bits_; ++bit) found.push_back(uint32_t(1) << bit);
    const int outer = sweep_outer_bits_[sweep];
    for (int bit = 0; bit < sweep_bits_[sweep] + outer; ++bit)
        found.push_back(sweep_offset_[size_t(sweep_offset_begin_[sweep]) + (size_t(1) << bit)]);
    found.insert(found.end(), sweep_basis_.begin() + sweep_basis_begin_[sweep] + outer,
                 sweep_basis_.begin() + sweep_basis_begin_[sweep + 1]);
    return found;
}

// From indices to places, where kets lie in the order of the sweep that wrote them.
void Sweeps::lie_in_order() {
    const size_t num_layers = layer_sweep_begin_.size() - 1, width = size_t(given_.num_qubits);
    const auto order = [&](size_t sweep) {
        const auto begin = sweep_order_.begin() + ptrdiff_t(sweep * width);
        return std::vector<uint32_t>(begin, begin + ptrdiff_t(width));
    };
    const auto span = [&](size_t sweep) {
        Span found;
        for (uint32_t column : order(sweep)) found.add_if_independent(column);
        return found;
    };
    character_mask_ = given_.character_mask;
    flip_mask_ = given_.flip_mask;
    pauli_z_ = given_.pauli_z;
    state_flip_ = given_.state_flip;
    for (int32_t r : product_run_) product_flip_.push_back(given_.run_x[size_t(r)]);
    if (!in_order_) return;
    Span first = span(0);
    for (uint32_t& flip : product_flip_) flip = *first.coordinates(flip);
    for (size_t sweep = 1; sweep < sweep_bits_.size(); ++sweep) {
        Span before = span(sweep - 1);
        uint32_t* offset = sweep_offset_.data() + sweep_offset_begin_[sweep];
        for (int bit = 0; bit < sweep_bits_[sweep] + sweep_outer_bits_[sweep]; ++bit) {
            const size_t size = size_t(1) << bit;
            const uint32_t flip = *before.coordinates(offset[size]);
            for (size_t j = 0; j < size; ++j) offset[j + size] = offset[j] ^ flip;
        }
        for (int32_t i = sweep_basis_begin_[sweep]; i < sweep_basis_begin_[sweep + 1]; ++i)
            sweep_basis_[size_t(i)] = *before.coordinates(sweep_basis_[size_t(i)]);
    }
    for (size_t phase = 1; phase <= num_layers; ++phase)
        for (int32_t c = given_.phase_character_begin[phase]; c < given_.phase_character_begin[phase + 1]; ++c)
            character_mask_[size_t(c)] = parities(given_.character_mask[size_t(c)], order(phase - 1));
    const size_t last = last_phase_acts(given_) ? num_layers : num_layers - 1;
    Span last_span = span(last);
    for (uint32_t& mask : flip_mask_) mask = *last_span.coordinates(mask);
    for (uint32_t& mask : state_flip_) mask = *last_span.coordinates(mask);
    for (uint32_t& mask : pauli_z_) mask = parities(mask, order(last));
}

// What a factor of an angle is to another one, if both are in proportion but for constants; 0: they are not.
static double proportion(const ProgramArrays& a, int32_t angle, int32_t other) {
    const int32_t count = a.angle_term_begin[size_t(angle) + 1] - a.angle_term_begin[size_t(angle)];
    if (a.angle_term_begin[size_t(other) + 1] - a.angle_term_begin[size_t(other)] != count) return 0;
    double found = 0;
    for (int32_t i = 0; i < count; ++i) {
        const auto t = size_t(a.angle_term_begin[size_t(angle)] + i), u = size_t(a.angle_term_begin[size_t(other)] + i);
        const auto variables = [&](size_t term) { return a.factor_variable.begin() + a.term_factor_begin[term]; };
        if (!std::equal(variables(t), variables(t + 1), variables(u), variables(u + 1))) return 0;
        const double ratio = a.term_coefficient[t] / a.term_coefficient[u];
        if (i > 0 && std::abs(ratio - found) > 1e-15 * std::abs(found)) return 0;
        found = ratio;
    }
    return found;
}

// The rotations of a phase as sums over energies, one for each of its angles but for their factors; false: these are
// too many.
bool Sweeps::add_phase_sums(int phase) {
    std::vector<int32_t> angles;
    std::vector<Energies::Terms> sums;
    for (int32_t c = given_.phase_character_begin[size_t(phase)]; c < given_.phase_character_begin[size_t(phase) + 1];
         ++c)
        for (int32_t s = given_.character_source_begin[size_t(c)]; s < given_.character_source_begin[size_t(c) + 1];
             ++s) {
            const int32_t angle = given_.source_index[size_t(s)];
            if (given_.source_kind[size_t(s)] != source_rotation ||
                given_.angle_term_begin[size_t(angle)] == given_.angle_term_begin[size_t(angle) + 1])
                continue;
            size_t i = 0;
            double factor = 0;
            while (i < angles.size() && (factor = proportion(given_, angle, angles[i])) == 0) ++i;
            if (i == angles.size()) {
                if (i == most_energies_of_phase) return false;
                angles.push_back(angle);
                sums.emplace_back();
                factor = 1;
            }
            sums[i].emplace_back(character_mask_[size_t(c)], factor);
        }
    for (size_t i = 0; i < angles.size(); ++i) {
        const int64_t begin = energies_.add(std::move(sums[i]));
        if (begin < 0) return false;
        phase_sum_angle_.push_back(angles[i]);
        phase_sum_energy_.push_back(begin);
    }
    return true;
}

// Where sums over energies of basis states are fewer passes than a transform.
void Sweeps::add_energies() {
    const int num_layers = int(given_.layer_run_begin.size()) - 1;
    for (int phase = 1; phase <= num_layers; ++phase) {
        const size_t before = phase_sum_angle_.size();
        if (!add_phase_sums(phase)) {
            phase_sum_angle_.resize(before);
            phase_sum_energy_.resize(before);
        }
        phase_sum_begin_.push_back(int32_t(phase_sum_angle_.size()));
    }
    if (given_.observable_constant.size() != 1 || flip_mask_.empty() || flip_mask_[0] != 0) return;
    Energies::Terms diagonal;
    for (int32_t t = given_.flip_term_begin[0]; t < given_.flip_term_begin[1]; ++t)
        diagonal.emplace_back(pauli_z_[size_t(t)], given_.pauli_coefficient[size_t(t)]);
    if (diagonal.size() > 2) observable_energy_ = energies_.add(std::move(diagonal));
}

void Sweeps::link(ProgramView& view) const {
    view.lane_bits = lane_bits_;
    view.num_product_lane_runs = num_product_lane_runs_;
    view.product_is_scattered = product_is_scattered_;
    view.in_order = in_order_;
    view.max_block_bits = 0;
    for (size_t s = 0; s < sweep_bits_.size(); ++s)
        view.max_block_bits = std::max(view.max_block_bits, sweep_bits_[s] + sweep_outer_bits_[s]);
    view.num_groups = int32_t(group_table_begin_.size());
    view.table_vectors = table_vectors_;
    view.filling_vectors = filling_vectors_;
    view.observable_energy = observable_energy_;
    view.energy_single = energies_.single_precision();
    view.energy_double = energies_.double_precision();
#define QTM_LINK(name) view.name = name##_.data()
    QTM_LINK(phase_sum_begin);
    QTM_LINK(phase_sum_angle);
    QTM_LINK(phase_sum_energy);
    QTM_LINK(layer_sweep_begin);
    QTM_LINK(sweep_run_begin);
    QTM_LINK(sweep_run);
    QTM_LINK(sweep_lane_run_begin);
    QTM_LINK(sweep_lane_run);
    QTM_LINK(sweep_lane_flip);
    QTM_LINK(sweep_lane_partner);
    QTM_LINK(sweep_bits);
    QTM_LINK(sweep_near_bits);
    QTM_LINK(sweep_outer_bits);
    QTM_LINK(sweep_offset_begin);
    QTM_LINK(sweep_offset);
    QTM_LINK(sweep_basis_begin);
    QTM_LINK(sweep_basis);
    QTM_LINK(sweep_ket);
    QTM_LINK(sweep_order);
    QTM_LINK(product_run);
    QTM_LINK(product_flip);
    QTM_LINK(character_mask);
    QTM_LINK(flip_mask);
    QTM_LINK(pauli_z);
    QTM_LINK(state_flip);
    QTM_LINK(phase_table_bits);
    QTM_LINK(phase_table_begin);
    QTM_LINK(phase_variant_begin);
    QTM_LINK(phase_variant_step);
    QTM_LINK(phase_group_begin);
    QTM_LINK(phase_constant_begin);
    QTM_LINK(phase_rest_begin);
    QTM_LINK(group_character_begin);
    QTM_LINK(group_character);
    QTM_LINK(group_table_begin);
    QTM_LINK(group_offset_begin);
    QTM_LINK(group_offset);
    QTM_LINK(group_basis_begin);
    QTM_LINK(group_basis);
#undef QTM_LINK
}

}  // namespace qtm
