// Vectors over GF(2).
#include <random>

#include "check.hpp"
#include "parity.hpp"

using namespace qtm;

namespace {

void parities_of_masks() {
    CHECK(!odd(0) && odd(1) && !odd(3) && odd(0x80000000u) && !odd(0xffffffffu));
    CHECK(parities(5, {1, 2, 4, 5, 7}) == 0b00101);
    CHECK(parities(5, {}) == 0);
}

void even_masks_are_all_there_are() {
    std::mt19937 random(2);
    for (int trial = 0; trial < 200; ++trial) {
        const int bits = int(random() % 8) + 1;
        std::vector<uint32_t> vectors;
        Span span;
        for (size_t i = 0, count = random() % 8; i < count; ++i) {
            vectors.push_back(random() % (uint32_t(1) << bits));
            span.add_if_independent(vectors.back());
        }
        const std::vector<uint32_t> masks = even_masks(vectors, bits);
        CHECK(masks.size() + span.dimension() == size_t(bits));
        Span found;
        for (uint32_t mask : masks) {
            CHECK(found.add_if_independent(mask) && mask >> bits == 0);
            CHECK(parities(mask, vectors) == 0);
        }
    }
    CHECK(even_masks({}, 3) == (std::vector<uint32_t>{1, 2, 4}) && even_masks({1, 3}, 2).empty());
}

void coordinates_lead_back_to_the_vector() {
    std::mt19937 random(1);
    for (int trial = 0; trial < 200; ++trial) {
        Span span;
        const int bits = 1 + trial % 12;
        for (int i = 0; i < 40; ++i) {
            const uint32_t vector = random() & ((uint32_t(1) << bits) - 1);
            const auto at = span.coordinates(vector);
            CHECK(at.has_value());
            uint32_t found = 0;
            for (size_t b = 0; b < span.dimension(); ++b)
                if (*at >> b & 1) found ^= span.basis()[b];
            CHECK(found == vector);
        }
        CHECK(span.dimension() <= size_t(bits));
    }
}

void a_basis_grows_no_further_than_it_may() {
    Span span(2);
    CHECK(span.add_if_independent(1) && span.add_if_independent(6) && !span.add_if_independent(7));
    CHECK(!span.coordinates(2).has_value() && span.coordinates(7) == 3u && span.coordinates(0) == 0u);
    CHECK(span.dimension() == 2);
    Span none(0);
    CHECK(!none.add_if_independent(1) && none.coordinates(0) == 0u);
}

}  // namespace

int main() {
    return check::run({TEST(parities_of_masks), TEST(even_masks_are_all_there_are),
                       TEST(coordinates_lead_back_to_the_vector), TEST(a_basis_grows_no_further_than_it_may)});
}
