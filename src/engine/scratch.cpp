#include "scratch.hpp"

#include <new>

namespace qtm {
namespace {

constexpr std::align_val_t alignment{64};
constexpr size_t most_kept = size_t(256) << 20;

// One block kept by each thread: no lock, so nothing that a fork could leave locked.
struct Kept {
    void* data = nullptr;
    size_t bytes = 0;
    ~Kept() { ::operator delete(data, alignment); }
};
thread_local Kept kept;

}  // namespace

Scratch::Scratch(size_t bytes) {
    if (kept.data != nullptr && kept.bytes >= bytes && kept.bytes <= 4 * bytes + (size_t(1) << 20)) {
        data_ = kept.data;
        bytes_ = kept.bytes;
        kept.data = nullptr;
        kept.bytes = 0;
        return;
    }
    data_ = ::operator new(bytes, alignment);
    bytes_ = bytes;
}

Scratch::~Scratch() {
    if (bytes_ > most_kept) {
        ::operator delete(data_, alignment);
        return;
    }
    ::operator delete(kept.data, alignment);
    kept.data = data_;
    kept.bytes = bytes_;
}

}  // namespace qtm
