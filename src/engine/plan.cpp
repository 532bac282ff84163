#include "plan.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <numeric>
#include <optional>
#include <stdexcept>

namespace qtm {
namespace {

void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(std::string("inconsistent program: ") + what);
}

// Runs of a sweep. Blocks of bra and ket with 2^6 vectors of 64 bytes each fit half of a 32 KiB cache; up to 2^8 they
// were measured to be better whole. Larger blocks fall into parts, and pay off as long as a layer of all qubits is one
// sweep and the second cache of a core takes most of it. Spread, tables for the parts of a single state would cost more
// than they save; and a team shares cosets, which therefore must not be few.
// A last layer that is measured, spread, is worth larger blocks: nothing is turned, and memory decides.
constexpr size_t most_whole_runs = 8, part_runs = 6, most_batched_runs = 14, most_team_runs = 7,
                 most_measured_runs = 10;
constexpr size_t least_block_bits = 3;

// In sweeps of such a layer, so many bits more make four vectors side by side of each one, where no run does: vectors
// far from one another wait for memory one by one, and push each other out of the caches.
constexpr int most_near_bits = 2;

// Spread over eight lanes or more, 2^8 vectors of bra and ket are too much for the first cache.
size_t most_whole(int lane_bits) { return lane_bits > 2 ? most_whole_runs - 1 : most_whole_runs; }

size_t most_sweep_runs(int lane_bits, bool is_team) {
    return is_team ? most_team_runs : lane_bits > 0 ? most_whole_runs : most_batched_runs;
}

bool odd(uint32_t bits) { return std::popcount(bits) % 2 != 0; }

// begin[0] = 0 <= begin[1] <= ... <= begin.back() = size
void require_ranges(const std::vector<int32_t>& begin, size_t count, size_t size, const char* what) {
    require(begin.size() == count + 1 && begin.front() == 0 && begin.back() == int64_t(size), what);
    require(std::is_sorted(begin.begin(), begin.end()), what);
}

void require_indices(const std::vector<int32_t>& index, size_t size, const char* what) {
    for (int32_t i : index) require(i >= 0 && size_t(i) < size, what);
}

void check_angles(const ProgramArrays& a) {
    require(a.num_qubits >= 1 && a.num_qubits <= max_qubits, "num_qubits");
    require(a.num_inputs >= 0 && a.num_weights >= 0, "num_inputs and num_weights");
    require_ranges(a.angle_term_begin, a.angle_constant.size(), a.term_coefficient.size(), "angle_term_begin");
    require_ranges(a.term_factor_begin, a.term_coefficient.size(), a.factor_variable.size(), "term_factor_begin");
    require_indices(a.factor_variable, size_t(a.num_inputs) + size_t(a.num_weights), "factor_variable");
}

void check_runs(const ProgramArrays& a, bool starts_from_halves) {
    const size_t num_runs = a.run_x.size(), num_layers = a.layer_run_begin.size() - 1;
    const uint32_t all = (uint32_t(1) << a.num_qubits) - 1;
    require(a.run_z.size() == num_runs, "run_z");
    require_ranges(a.run_gate_begin, num_runs, a.gate_axis.size(), "run_gate_begin");
    require_indices(a.gate_axis, 3, "gate_axis");
    require(a.gate_angle.size() == a.gate_axis.size(), "gate_angle");
    require_indices(a.gate_angle, a.angle_constant.size(), "gate_angle");
    require_ranges(a.layer_run_begin, num_layers, num_runs, "layer_run_begin");
    for (size_t l = 0; l < num_layers; ++l) {
        const bool is_empty = a.layer_run_begin[l] == a.layer_run_begin[l + 1];
        require(is_empty == (starts_from_halves && l == 0), "layers need runs, but for one in the place of halves");
        for (int32_t r = a.layer_run_begin[l]; r < a.layer_run_begin[l + 1]; ++r) {
            require((a.run_x[r] & ~all) == 0 && (a.run_z[r] & ~all) == 0, "run masks");
            for (int32_t other = a.layer_run_begin[l]; other < a.layer_run_begin[l + 1]; ++other)
                require(odd(a.run_x[r] & a.run_z[other]) == (r == other), "runs of a layer must commute");
        }
    }
}

void check_phases(const ProgramArrays& a) {
    const size_t num_layers = a.layer_run_begin.size() - 1;
    require_ranges(a.phase_character_begin, num_layers + 1, a.character_mask.size(), "phase_character_begin");
    require(a.phase_character_begin[1] == 0, "the first phase must be empty");
    require_ranges(a.character_source_begin, a.character_mask.size(), a.source_kind.size(), "character_source_begin");
    for (size_t c = 0; c + 1 < a.character_source_begin.size(); ++c)
        require(a.character_source_begin[c] < a.character_source_begin[c + 1], "a character needs a source");
    for (uint32_t mask : a.character_mask) require(mask >> a.num_qubits == 0, "character_mask");
    require(a.source_index.size() == a.source_kind.size(), "source_index");
    require_indices(a.source_kind, 3, "source_kind");
    for (size_t s = 0; s < a.source_kind.size(); ++s) {
        const size_t size = a.source_kind[s] == source_rotation ? a.angle_constant.size() : a.run_x.size();
        require(a.source_index[s] >= 0 && size_t(a.source_index[s]) < size, "source_index");
    }
}

void check_observables(const ProgramArrays& a) {
    require_ranges(a.flip_term_begin, 2 * a.flip_mask.size(), a.pauli_z.size(), "flip_term_begin");
    require(a.pauli_coefficient.size() == a.pauli_z.size(), "pauli_coefficient");
    require(a.pauli_observable.size() == a.pauli_z.size(), "pauli_observable");
    require_indices(a.pauli_observable, a.observable_constant.size(), "pauli_observable");
    for (uint32_t mask : a.flip_mask) require(mask >> a.num_qubits == 0, "flip_mask");
    for (uint32_t mask : a.pauli_z) require(mask >> a.num_qubits == 0, "pauli_z");
}

// A space over GF(2), with coordinates in a basis of the vectors themselves, which grows as they come.
class Span {
   public:
    explicit Span(size_t most = max_qubits) : most_(most) {}
    size_t dimension() const { return rows_.size(); }
    // The vectors of the basis.
    const std::vector<uint32_t>& basis() const { return basis_; }

    bool add_if_independent(uint32_t vector) {
        const size_t before = dimension();
        coordinates(vector);
        return dimension() > before;
    }

    // Nothing where the basis may not grow any more.
    std::optional<uint32_t> coordinates(uint32_t vector) {
        uint32_t rest = vector, found = 0;
        for (const Row& row : rows_) {
            if ((rest ^ row.vector) > rest) continue;
            rest ^= row.vector;
            found ^= row.coordinates;
        }
        if (rest == 0) return found;
        if (rows_.size() == most_) return std::nullopt;
        const uint32_t unit = uint32_t(1) << rows_.size();
        rows_.push_back({rest, found ^ unit});
        basis_.push_back(vector);
        return unit;
    }

   private:
    struct Row {
        uint32_t vector, coordinates;
    };
    size_t most_;
    std::vector<Row> rows_;
    std::vector<uint32_t> basis_;
};

// The last phase shows where an observable flips bits.
bool last_phase_acts(const ProgramArrays& a) {
    if (a.is_half) return true;
    const size_t last = a.layer_run_begin.size() - 1;
    return a.phase_character_begin[last] < a.phase_character_begin[last + 1] &&
           std::any_of(a.flip_mask.begin(), a.flip_mask.end(), [](uint32_t mask) { return mask != 0; });
}

// Bit i of the result: whether `mask` is odd on vector i.
uint32_t parities(uint32_t mask, const std::vector<uint32_t>& vectors) {
    uint32_t found = 0;
    for (size_t i = 0; i < vectors.size(); ++i) found |= uint32_t(odd(mask & vectors[i])) << i;
    return found;
}

// The table of a phase has at most 2^10 entries: with those of 64 bytes, what the cache of a core holds beside a state.
constexpr size_t most_table_bits = 10;
// Characters whose rows index two tables, each for half of them.
constexpr size_t most_group_characters = 12;

// A table of `entries` made of groups of characters that have a table each: how many groups take the fewest products.
size_t cheapest_groups(size_t characters, size_t entries) {
    size_t best = characters, least = characters * entries;
    for (size_t count = (characters + most_table_bits - 1) / most_table_bits; count > 0 && count < characters;
         ++count) {
        const size_t cost = (count - 1) * entries + (count << ((characters + count - 1) / count));
        if (cost < least) {
            best = count;
            least = cost;
        }
    }
    return best;
}

}  // namespace

Sweeps::Sweeps(const ProgramArrays& arrays, int lane_bits, const std::vector<uint8_t>* measured_run, bool is_team)
    : given_(arrays), lane_bits_(lane_bits), most_runs_(most_sweep_runs(lane_bits, is_team)) {
    const int num_layers = int(given_.layer_run_begin.size()) - 1;
    for (int layer = 0; layer < num_layers; ++layer) {
        split_layer(layer, layer + 1 == num_layers ? measured_run : nullptr);
        layer_sweep_begin_.push_back(int32_t(sweep_bits_.size()));
    }
    add_sweep({}, {}, 0);
    number_kets(measured_run != nullptr);
    order_product();
    add_phases();
    in_order_ = num_layers > 0 && lane_bits == 0 && !is_team && sweep_bits_.size() == size_t(num_layers) + 1;
    for (size_t sweep = 0; sweep < sweep_bits_.size(); ++sweep)
        for (uint32_t column : columns(sweep)) sweep_order_.push_back(column);
    lie_in_order();
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

// As few sweeps as possible, of about the same size; flips of one sweep must reach different vectors.
void Sweeps::split_layer(int layer, const std::vector<uint8_t>* swept_run) {
    std::vector<int32_t> lane_runs, runs;
    for (int32_t r = given_.layer_run_begin[layer]; r < given_.layer_run_begin[layer + 1]; ++r)
        if (swept_run == nullptr || (*swept_run)[size_t(r)])
            (given_.run_x[r] >> lane_bits_ == 0 ? lane_runs : runs).push_back(r);
    const bool is_measured = swept_run != nullptr && lane_bits_ > 0;
    const size_t most_runs = is_measured ? most_measured_runs : most_runs_;
    const size_t count = std::max<size_t>(1, (runs.size() + most_runs - 1) / most_runs);
    const size_t most = (runs.size() + count - 1) / count;
    std::vector<std::vector<int32_t>> sweeps(count);
    std::vector<Span> spans(count);
    for (int32_t r : runs) {
        size_t s = 0;
        while (s < sweeps.size() &&
               (sweeps[s].size() >= most || !spans[s].add_if_independent(given_.run_x[r] >> lane_bits_)))
            ++s;
        if (s == sweeps.size()) {
            sweeps.emplace_back();
            spans.emplace_back().add_if_independent(given_.run_x[r] >> lane_bits_);
        }
        sweeps[s].push_back(r);
    }
    for (size_t s = 0; s < sweeps.size(); ++s)
        add_sweep(sweeps[s], s + 1 == sweeps.size() ? lane_runs : std::vector<int32_t>{},
                  is_measured ? most_near_bits : 0);
}

void Sweeps::add_sweep(const std::vector<int32_t>& runs, const std::vector<int32_t>& lane_runs, int most_near) {
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
    const size_t bits = flips.size(), filled = std::max(bits, runs.empty() ? part_runs : least_block_bits);
    const size_t passive = std::min(rest.size(), filled - bits);
    flips.insert(flips.end(), rest.begin(), rest.begin() + ptrdiff_t(passive));
    std::vector<uint32_t> offsets{0};
    for (uint32_t flip : flips)
        for (size_t j = 0, size = offsets.size(); j < size; ++j) offsets.push_back(offsets[j] ^ flip);

    sweep_run_.insert(sweep_run_.end(), runs.begin(), runs.end());
    sweep_run_begin_.push_back(int32_t(sweep_run_.size()));
    sweep_lane_run_.insert(sweep_lane_run_.end(), lane_runs.begin(), lane_runs.end());
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
    for (uint32_t& mask : pauli_z_) mask = parities(mask, order(last));
}

void Sweeps::add_phases() {
    for (int phase = 0; phase + 1 < int(given_.phase_character_begin.size()); ++phase) {
        phase_group_begin_.push_back(int32_t(group_table_begin_.size()));
        phase_variant_begin_.push_back(int32_t(phase_variant_step_.size()));
        add_phase(phase);
        phase_table_begin_.push_back(table_vectors_);
        table_vectors_ += 1 << phase_table_bits_.back();
    }
    phase_group_begin_.push_back(int32_t(group_table_begin_.size()));
}

// Sorts the characters of a phase by what they do in the parts of the sweep that applies it.
void Sweeps::add_phase(int phase) {
    // layer_sweep_begin[num_layers] is the additional sweep.
    const auto sweep = size_t(layer_sweep_begin_[size_t(phase)]), bits = size_t(sweep_bits_[sweep]);
    const auto basis_begin = sweep_basis_.begin() + sweep_basis_begin_[sweep],
               cosets_begin = basis_begin + sweep_outer_bits_[sweep],
               basis_end = sweep_basis_.begin() + sweep_basis_begin_[sweep + 1];
    const auto offset_begin = sweep_offset_.begin() + sweep_offset_begin_[sweep];
    std::vector<uint32_t> offsets(offset_begin, offset_begin + (ptrdiff_t(1) << bits)), flips;
    for (size_t i = 0; i < bits; ++i) flips.push_back(offsets[size_t(1) << i]);

    std::vector<int32_t> constant, differing, tabled, rest;
    for (int32_t c = given_.phase_character_begin[phase]; c < given_.phase_character_begin[phase + 1]; ++c)
        (parities(given_.character_mask[c], flips) == 0 ? constant : differing).push_back(c);
    // Vectors that change the variant come last: they are added least often.
    std::stable_partition(cosets_begin, basis_end, [&](uint32_t vector) {
        return std::none_of(differing.begin(), differing.end(),
                            [&](int32_t c) { return odd(given_.character_mask[c] & vector); });
    });
    const std::vector<uint32_t> basis(basis_begin, basis_end);
    const auto signs = [&](int32_t c) { return parities(given_.character_mask[c], basis); };
    std::stable_partition(differing.begin(), differing.end(), [&](int32_t c) { return signs(c) == 0; });
    // The functions of the coset that exchange the variants; each index of the table as a mask for the characters.
    Span variants(most_table_bits - std::min(most_table_bits, bits));
    std::vector<uint32_t> tabled_rows;
    for (int32_t c : differing) {
        const auto variant = given_.merges_diagonals ? variants.coordinates(signs(c)) : std::nullopt;
        (variant ? tabled : rest).push_back(c);
        if (variant) tabled_rows.push_back(parities(given_.character_mask[c], flips) | *variant << bits);
    }
    // Between layers there is always a phase: it carries the scale of the next one.
    const bool acts = phase > 0 && (phase + 1 < int(layer_sweep_begin_.size()) || !differing.empty() ||
                                    !constant.empty() || given_.is_half);
    const size_t table_bits = acts ? bits + variants.dimension() : 0;
    for (size_t i = 0; i < basis.size(); ++i) {
        uint32_t step = 0;
        for (size_t v = 0; v < variants.dimension(); ++v) step |= (variants.basis()[v] >> i & 1) << v;
        phase_variant_step_.push_back(step);
    }
    phase_table_bits_.push_back(int32_t(table_bits));
    std::vector<uint32_t> indices(size_t(1) << table_bits);
    std::iota(indices.begin(), indices.end(), 0);

    const auto masks = [&](const std::vector<int32_t>& characters) {
        std::vector<uint32_t> found;
        for (int32_t c : characters) found.push_back(given_.character_mask[c]);
        return found;
    };
    add_groups(tabled, tabled_rows, indices, {}, cheapest_groups(tabled.size(), indices.size()));
    int32_t filling = 0;
    for (size_t g = size_t(phase_group_begin_.back()); g < group_table_begin_.size(); ++g) {
        group_table_begin_[g] = filling;
        filling += 1 << (group_character_begin_[g + 1] - group_character_begin_[g]);
    }
    filling_vectors_ = std::max(filling_vectors_, filling);
    const size_t most = given_.merges_diagonals ? most_group_characters : 1;
    const auto add_pairs = [&](auto& begin, const std::vector<int32_t>& characters, const std::vector<uint32_t>& at) {
        begin.push_back(int32_t(group_table_begin_.size()));
        add_groups(characters, masks(characters), at, basis, (characters.size() + most - 1) / most);
        for (size_t g = size_t(begin.back()); g < group_table_begin_.size(); ++g) {
            const int32_t size = group_character_begin_[g + 1] - group_character_begin_[g];
            group_table_begin_[g] = table_vectors_;
            table_vectors_ += (1 << size / 2) + (1 << (size - size / 2));
        }
    };
    add_pairs(phase_constant_begin_, constant, {});
    add_pairs(phase_rest_begin_, rest, offsets);
}

// Groups of characters, each given by a mask; their rows at the offsets and at the vectors of the basis.
void Sweeps::add_groups(const std::vector<int32_t>& characters, const std::vector<uint32_t>& masks,
                        const std::vector<uint32_t>& offsets, const std::vector<uint32_t>& basis, size_t count) {
    for (size_t g = 0; g < count; ++g) {
        const size_t begin = characters.size() * g / count, end = characters.size() * (g + 1) / count;
        const std::vector<uint32_t> own(masks.begin() + ptrdiff_t(begin), masks.begin() + ptrdiff_t(end));
        group_character_.insert(group_character_.end(), characters.begin() + ptrdiff_t(begin),
                                characters.begin() + ptrdiff_t(end));
        group_character_begin_.push_back(int32_t(group_character_.size()));
        group_offset_begin_.push_back(int32_t(group_offset_.size()));
        group_basis_begin_.push_back(int32_t(group_basis_.size()));
        for (uint32_t offset : offsets) group_offset_.push_back(parities(offset, own));
        for (uint32_t vector : basis) group_basis_.push_back(parities(vector, own));
        group_table_begin_.push_back(0);
    }
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
#define QTM_LINK(name) view.name = name##_.data()
    QTM_LINK(layer_sweep_begin);
    QTM_LINK(sweep_run_begin);
    QTM_LINK(sweep_run);
    QTM_LINK(sweep_lane_run_begin);
    QTM_LINK(sweep_lane_run);
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

Plan::Plan(ProgramArrays arrays, Halves halves, std::unique_ptr<const Plan> halved, std::optional<StepArrays> steps)
    : given_(std::move(arrays)), halves_(std::move(halves)), halved_(std::move(halved)) {
    static std::atomic<uint64_t> count{0};
    number_ = ++count;
    require(!given_.layer_run_begin.empty(), "empty ranges");
    check_angles(given_);
    check_runs(given_, half(0) != nullptr);
    check_phases(given_);
    check_observables(given_);
    check_halves();
    derive_variation();
    derive_absorption();
    link();
    if (!steps) return;
    require(common_.num_layers == 0 && halved_ == nullptr && half(0) == nullptr, "steps in place of layers");
    steps_ = std::make_unique<const Steps>(std::move(*steps), given_.num_qubits, given_.angle_constant.size());
}

ProgramView Plan::stepwise_view(int lane_bits) const {
    ProgramView view = common_;
    view.lane_bits = lane_bits;
    view.flip_mask = given_.flip_mask.data();
    view.pauli_z = given_.pauli_z.data();
    return view;
}

void Plan::check_halves() const {
    if (half(0) == nullptr) return;
    require(half(1) != nullptr && halves_.glue_bits >= 0 && halves_.glue_bits <= most_glue_bits, "halves");
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

const ProgramView* Plan::view(int lane_bits, bool may_absorb, bool is_team) const {
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
    common_.last_phase_acts = last_phase_acts(a);
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
#define QTM_LINK(name) common_.name = a.name.data()
    QTM_LINK(angle_constant);
    QTM_LINK(angle_term_begin);
    QTM_LINK(term_coefficient);
    QTM_LINK(term_factor_begin);
    QTM_LINK(factor_variable);
    QTM_LINK(run_gate_begin);
    QTM_LINK(gate_axis);
    QTM_LINK(gate_angle);
    QTM_LINK(run_x);
    QTM_LINK(run_z);
    QTM_LINK(layer_run_begin);
    QTM_LINK(phase_character_begin);
    QTM_LINK(character_source_begin);
    QTM_LINK(source_kind);
    QTM_LINK(source_index);
    QTM_LINK(observable_constant);
    QTM_LINK(flip_term_begin);
    QTM_LINK(pauli_coefficient);
    QTM_LINK(pauli_observable);
#undef QTM_LINK
#define QTM_LINK(name) common_.name = name##_.data()
    QTM_LINK(angle_varies);
    QTM_LINK(run_is_real);
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
