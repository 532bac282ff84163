// Scratch memory that is reused from call to call: fresh pages cost more than small circuits.
#pragma once

#include <cstddef>

namespace qtm {

class Scratch {
   public:
    explicit Scratch(size_t bytes);  // aligned to 64; throws std::bad_alloc
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
    char* data() const { return static_cast<char*>(data_); }

   private:
    void* data_;
    size_t bytes_;
};

// Whether all scratch memory starts as NaN, so that tests see what is read before it is written.
void poison_scratch(bool poisons);

}  // namespace qtm
