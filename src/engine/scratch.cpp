#include "scratch.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <new>
#include <utility>

namespace qtm {
namespace {

constexpr std::align_val_t alignment{64};
constexpr size_t most_kept = size_t(256) << 20;

// A few blocks kept by each thread: no lock, so nothing that a fork could leave locked.
struct Block {
    void* data = nullptr;
    size_t bytes = 0;

    bool serves(size_t wanted) const {
        return data != nullptr && bytes >= wanted && bytes <= 4 * wanted + (size_t(1) << 20);
    }
};

class Kept {
   public:
    ~Kept() {
        for (const Block& block : blocks_) ::operator delete(block.data, alignment);
    }

    // The smallest block that will do, or none.
    Block take(size_t wanted) {
        Block* best = nullptr;
        for (Block& block : blocks_)
            if (block.serves(wanted) && (best == nullptr || block.bytes < best->bytes)) best = &block;
        return best == nullptr ? Block{} : std::exchange(*best, Block{});
    }

    // In the place of the one that has been here longest, and of others as long as all are too much together.
    void give(Block block) {
        size_t total = block.bytes;
        for (const Block& other : blocks_) total += other.bytes;
        do {
            next_ = (next_ + 1) % blocks_.size();
            total -= blocks_[next_].bytes;
            ::operator delete(std::exchange(blocks_[next_], Block{}).data, alignment);
        } while (total > most_kept);
        blocks_[next_] = block;
    }

   private:
    std::array<Block, 4> blocks_;
    size_t next_ = 0;
};
thread_local Kept kept;

std::atomic<bool> is_poisoned{false};

}  // namespace

void poison_scratch(bool poisons) { is_poisoned.store(poisons); }

Scratch::Scratch(size_t bytes) {
    const Block block = kept.take(bytes);
    data_ = block.data != nullptr ? block.data : ::operator new(bytes, alignment);
    bytes_ = block.data != nullptr ? block.bytes : bytes;
    if (is_poisoned.load(std::memory_order_relaxed)) std::memset(data_, 0xFF, bytes_);
}

Scratch::~Scratch() {
    if (bytes_ > most_kept)
        ::operator delete(data_, alignment);
    else
        kept.give({data_, bytes_});
}

}  // namespace qtm
