// The layer under all kernels: phases between barriers, run by the threads of a block.
//
// On a GPU a phase begins with a barrier and its body is run by every thread. On the CPU, for tests (QTM_TWIN), the body
// is a loop over the threads of the block, forwards or backwards. What lives longer than a phase is uniform over the
// block, or in `Registers`, or in shared memory.

typedef QTM_REAL Real;

#if defined(QTM_TWIN)

#define QTM_DEVICE inline
#define QTM_UNROLL
#define QTM_NO_UNROLL
#define QTM_KERNEL(name, most_threads) extern "C" void qtm_##name(const Arguments& a, const Block& block)
// A phase between barriers of the block; of the threads that share a tile.
#define QTM_PHASE for (const int thread : block.order)
#define QTM_GROUP_PHASE QTM_PHASE

struct Block {
    int index, threads;
    std::vector<int> order;
    char* shared;
};

// A value of each thread that outlives a phase.
template <class T>
struct Registers {
    std::vector<T> all;
    explicit Registers(const Block& block) : all(size_t(block.threads)) {
        std::memset(static_cast<void*>(all.data()), 0xFF, all.size() * sizeof(T));
    }
    T& operator[](int thread) { return all[size_t(thread)]; }
};

inline bool is_odd(unsigned mask) { return __builtin_popcount(mask) & 1; }
inline void sine_cosine_of_pi(double x, double& sine, double& cosine) {
    sine = std::sin(3.14159265358979324 * x);
    cosine = std::cos(3.14159265358979324 * x);
}
inline double square_root(double x) { return std::sqrt(x); }
inline double magnitude(double x) { return std::fabs(x); }
inline double rounded(double x) { return std::nearbyint(x); }
inline double no_number() { return std::nan(""); }

#else

#define QTM_DEVICE __device__ __forceinline__
#define QTM_UNROLL _Pragma("unroll")
#define QTM_NO_UNROLL _Pragma("unroll 1")
#define QTM_KERNEL(name, most_threads)                                                          \
    __device__ __forceinline__ void name##_of(const Arguments& a, const Block& block);          \
    extern "C" __global__ void __launch_bounds__(most_threads, 1) qtm_##name(const Arguments a) {  \
        name##_of(a, Block());                                                                  \
    }                                                                                           \
    __device__ __forceinline__ void name##_of(const Arguments& a, const Block& block)
#define QTM_PHASE if (const int thread = (__syncthreads(), int(threadIdx.x)); true)
#if QTM_WITHIN_WARP
#define QTM_GROUP_PHASE if (const int thread = (__syncwarp(), int(threadIdx.x)); true)
#else
#define QTM_GROUP_PHASE QTM_PHASE
#endif

extern __shared__ __align__(16) char qtm_shared[];

struct Block {
    int index, threads;
    char* shared;
    __device__ Block() : index(int(blockIdx.x)), threads(int(blockDim.x)), shared(qtm_shared) {}
};

template <class T>
struct Registers {
    T own;
    __device__ explicit Registers(const Block&) {}
    __device__ __forceinline__ T& operator[](int) { return own; }
};

__device__ __forceinline__ bool is_odd(unsigned mask) { return __popc(mask) & 1; }
// No way for large angles in it, which would take memory of the thread.
__device__ __forceinline__ void sine_cosine_of_pi(double x, double& sine, double& cosine) {
    sincospi(x, &sine, &cosine);
}
__device__ __forceinline__ double square_root(double x) { return sqrt(x); }
__device__ __forceinline__ double magnitude(double x) { return fabs(x); }
__device__ __forceinline__ double rounded(double x) { return rint(x); }
__device__ __forceinline__ double no_number() { return __longlong_as_double(0x7FF8000000000000LL); }

#endif

template <class Number>
struct alignas(2 * sizeof(Number)) ComplexOf {
    Number re, im;
};
typedef ComplexOf<Real> Complex;

template <class Number>
QTM_DEVICE ComplexOf<Number> operator*(ComplexOf<Number> x, ComplexOf<Number> y) {
    return {x.re * y.re - x.im * y.im, x.re * y.im + x.im * y.re};
}
template <class Number>
QTM_DEVICE ComplexOf<Number> conjugated(ComplexOf<Number> x) {
    return {x.re, -x.im};
}

// Numbers that are added up together.
template <int count>
struct Sums {
    Real value[count];
};

// Adds up over 2^bits neighbours of a warp, by exchange: all of them have the sum, to the last bit the same.
template <int count>
QTM_DEVICE void sum_over_lanes([[maybe_unused]] const Block& block, Registers<Sums<count>>& sums, int bits) {
    for (int flip = 1; flip < 1 << bits; flip *= 2) {
#if defined(QTM_TWIN)
        const std::vector<Sums<count>> before = sums.all;
        for (const int thread : block.order)
            for (int i = 0; i < count; ++i) sums[thread].value[i] += before[size_t(thread ^ flip)].value[i];
#else
        QTM_UNROLL
        for (int i = 0; i < count; ++i) sums.own.value[i] += __shfl_xor_sync(0xFFFFFFFFu, sums.own.value[i], flip);
#endif
    }
}

constexpr int lane_bits = 5, lanes = 1 << lane_bits;

// Adds up over a block, in whole warps; the sum is what the first thread has. The first bytes of shared memory hold
// those of the warps.
QTM_DEVICE void sum_over_block(const Block& block, Registers<Sums<1>>& sum) {
    sum_over_lanes<1>(block, sum, lane_bits);
    Real* of_warp = reinterpret_cast<Real*>(block.shared);
    QTM_PHASE {
        if (thread % lanes == 0) of_warp[thread / lanes] = sum[thread].value[0];
    }
    QTM_PHASE {
        if (thread == 0)
            for (int warp = 1; warp < block.threads / lanes; ++warp) sum[thread].value[0] += of_warp[warp];
    }
}
