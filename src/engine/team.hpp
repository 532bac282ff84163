// Threads that evaluate one tile together: each takes its share of every loop over a state, and they meet after it.
#pragma once

#include <atomic>
#include <cstdint>

namespace qtm {

// Where `size` threads meet. They spin, so all of them must be running.
class Barrier {
   public:
    explicit Barrier(int size) : size_(size), missing_(size) {}
    void wait();

   private:
    const int size_;
    std::atomic<int> missing_;
    std::atomic<uint32_t> round_{0};
};

struct Team {
    int rank = 0, size = 1;
    Barrier* barrier = nullptr;  // null in a team of one

    struct Share {
        uint64_t begin, end;
    };
    // What this thread does of `count` pieces.
    Share share(uint64_t count) const {
        return {count * uint64_t(rank) / uint64_t(size), count * uint64_t(rank + 1) / uint64_t(size)};
    }
    void meet() const {
        if (barrier != nullptr) barrier->wait();
    }
};

}  // namespace qtm
