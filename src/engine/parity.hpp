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

// Independent masks that are even on all vectors: as many as they leave of the first `bits` bits.
inline std::vector<uint32_t> even_masks(const std::vector<uint32_t>& vectors, int bits) {
    std::vector<uint32_t> rows, pivots;  // of the vectors, no pivot in two rows
    for (uint32_t rest : vectors) {
        for (size_t i = 0; i < rows.size(); ++i)
            if (rest & pivots[i]) rest ^= rows[i];
        if (rest == 0) continue;
        const uint32_t pivot = rest & (0 - rest);
        for (uint32_t& row : rows)
            if (row & pivot) row ^= rest;
        rows.push_back(rest);
        pivots.push_back(pivot);
    }
    std::vector<uint32_t> found;
    for (int bit = 0; bit < bits; ++bit) {
        const uint32_t unit = uint32_t(1) << bit;
        uint32_t mask = unit;
        for (size_t i = 0; i < rows.size(); ++i) {
            if (pivots[i] == unit) mask = 0;
            if (rows[i] & unit) mask |= mask == 0 ? 0 : pivots[i];
        }
        if (mask != 0) found.push_back(mask);
    }
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
