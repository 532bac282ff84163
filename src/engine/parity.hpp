// Vectors over GF(2): masks of bits, their parities, and the spaces they span.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "program.hpp"

namespace qtm {

inline bool odd(uint32_t bits) { return std::popcount(bits) % 2 != 0; }

// Bit i of the result: whether `mask` is odd on vector i.
inline uint32_t parities(uint32_t mask, const std::vector<uint32_t>& vectors) {
    uint32_t found = 0;
    for (size_t i = 0; i < vectors.size(); ++i) found |= uint32_t(odd(mask & vectors[i])) << i;
    return found;
}

// Conditions on the bits of an index: parities with masks are even, or odd. Each mask has a bit that no other has, its
// lowest as it came.
struct Conditions {
    std::vector<uint32_t> mask, pivot;
    std::vector<bool> is_odd;
    bool contradict = false;

    void add(uint32_t next, bool next_is_odd) {
        for (size_t i = 0; i < mask.size(); ++i)
            if (next & pivot[i]) {
                next ^= mask[i];
                next_is_odd = next_is_odd != is_odd[i];
            }
        if (next == 0) {
            contradict |= next_is_odd;
            return;
        }
        const uint32_t lowest = next & (0 - next);
        for (size_t i = 0; i < mask.size(); ++i)
            if (mask[i] & lowest) {
                mask[i] ^= next;
                is_odd[i] = is_odd[i] != next_is_odd;
            }
        mask.push_back(next);
        pivot.push_back(lowest);
        is_odd.push_back(next_is_odd);
    }

    // A bit that is no pivot and the pivots which have to change along with it: all parities stay as they are.
    uint32_t kept_by(uint32_t unit) const {
        uint32_t flip = unit;
        for (size_t i = 0; i < mask.size(); ++i)
            if (mask[i] & unit) flip |= pivot[i];
        return flip;
    }
};

// Independent masks that are even on all vectors: as many as they leave of the first `bits` bits.
inline std::vector<uint32_t> even_masks(const std::vector<uint32_t>& vectors, int bits) {
    Conditions even;
    uint32_t pivots = 0;
    for (uint32_t vector : vectors) even.add(vector, false);
    for (uint32_t pivot : even.pivot) pivots |= pivot;
    std::vector<uint32_t> found;
    for (int bit = 0; bit < bits; ++bit)
        if (const uint32_t unit = uint32_t(1) << bit; !(unit & pivots)) found.push_back(even.kept_by(unit));
    return found;
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

    bool holds(uint32_t vector) const { return !Span(*this).add_if_independent(vector); }

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

}  // namespace qtm
