// The phases of sweeps: tables, variants and groups of characters.
#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>

#include "parity.hpp"
#include "sweeps.hpp"
#include "tuning.hpp"

namespace qtm {

using namespace tuning;

namespace {

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

// Where the variants of a table for blocks of 2^bits vectors will be: as many as it has room for.
Span no_variants(size_t bits) { return Span(most_table_bits - std::min(most_table_bits, bits)); }

}  // namespace

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

// Characters of a phase that differ within a block in too many ways from coset to coset for the phase's table.
size_t Sweeps::num_untabled(const std::vector<uint32_t>& flips, const std::vector<uint32_t>& cosets, int phase) const {
    Span variants = no_variants(flips.size());
    size_t count = 0;
    for (int32_t c = given_.phase_character_begin[phase]; c < given_.phase_character_begin[phase + 1]; ++c) {
        const uint32_t mask = given_.character_mask[c];
        count += parities(mask, flips) != 0 && !variants.coordinates(parities(mask, cosets));
    }
    return count;
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
    // Vectors that change the variant come last: they are added least often. But what a half ends with lies in the
    // order of its index, in which the halves are joined.
    const bool is_joined = given_.is_half && size_t(phase) + 1 == given_.layer_run_begin.size();
    if (!is_joined)
        std::stable_partition(cosets_begin, basis_end, [&](uint32_t vector) {
            return std::none_of(differing.begin(), differing.end(),
                                [&](int32_t c) { return odd(given_.character_mask[c] & vector); });
        });
    const std::vector<uint32_t> basis(basis_begin, basis_end);
    const auto signs = [&](int32_t c) { return parities(given_.character_mask[c], basis); };
    std::stable_partition(differing.begin(), differing.end(), [&](int32_t c) { return signs(c) == 0; });
    // The functions of the coset that exchange the variants; each index of the table as a mask for the characters.
    Span variants = no_variants(bits);
    std::vector<uint32_t> tabled_rows;
    for (int32_t c : differing) {
        const auto variant = given_.merges_diagonals ? variants.coordinates(signs(c)) : std::nullopt;
        (variant ? tabled : rest).push_back(c);
        if (variant) tabled_rows.push_back(parities(given_.character_mask[c], flips) | *variant << bits);
    }
    // Between layers there is always a phase: it carries the scale of the next one.
    const bool acts = phase > 0 && (phase + 1 < int(layer_sweep_begin_.size()) || !differing.empty() ||
                                    !constant.empty() || given_.needs_all());
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

}  // namespace qtm
