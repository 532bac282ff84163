// Threads that evaluate one tile together: each takes its share of every loop over a state, and they meet after it.
// Kernels include this: no templates of the standard library here (see isa/body.hpp).
#pragma once

#include <cstdint>

namespace qtm {

class Barrier;
void meet(Barrier& barrier, int rank);

// Among how many a member shares the work, and which of them it is; -1: it has left the team.
struct Place {
    int position, size;
};

struct Team {
    int rank = 0;
    Barrier* barrier = nullptr;    // null in a team of one
    const Place* place = nullptr;  // likewise; changes at meetings only

    struct Share {
        uint64_t begin, end;
    };
    // What this thread does of `count` pieces, until the next meeting: the team may be smaller from there on.
    Share share(uint64_t count) const {
        if (barrier == nullptr) return {0, count};
        if (has_left()) return {0, 0};
        const auto at = uint64_t(place->position), size = uint64_t(place->size);
        return {count * at / size, count * (at + 1) / size};
    }
    int size() const { return barrier == nullptr ? 1 : place->size; }
    // Whether this thread has nothing more to do but to hand over what it has added up.
    bool has_left() const { return barrier != nullptr && place->position < 0; }
    void meet() const {
        if (barrier != nullptr && !has_left()) qtm::meet(*barrier, rank);
    }
};

}  // namespace qtm
