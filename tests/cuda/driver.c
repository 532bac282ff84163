// Stands in for libcuda: keeps a list of calls, fails where it is told to, and copies what kernels are launched with.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char calls[1 << 16], failing[64];
static int failure;
static unsigned char copied[256];
static size_t size_of_argument;
static _Thread_local void* stack[8];
static _Thread_local int depth;

const char* fake_calls(void) { return calls; }
const unsigned char* fake_argument(void) { return copied; }
void fake_reset(size_t bytes) {
    calls[0] = failing[0] = 0;
    size_of_argument = bytes;
}
void fake_fail(const char* name, int number) {
    strcpy(failing, name);
    failure = number;
}

static int answer(const char* name, const char* what) {
    snprintf(calls + strlen(calls), sizeof calls - strlen(calls), "%s(%s)\n", name, what);
    return strcmp(failing, name) ? 0 : failure;
}
#define ANSWER(...)                           \
    char what[256];                           \
    snprintf(what, sizeof what, __VA_ARGS__); \
    return answer(__func__, what)

int cuInit(unsigned flags) { ANSWER("%u", flags); }
int cuDriverGetVersion(int* version) {
    *version = 12080;
    ANSWER("%s", "");
}
int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal + 100;
    return ordinal < 2 ? 0 : 101;
}
int cuDeviceGetAttribute(int* value, int which, int device) {
    *value = 1000 * which + device;
    return 0;
}
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    *bytes = ((size_t)device) << 32;
    return 0;
}
int cuDevicePrimaryCtxRetain(void** context, int device) {
    *context = (void*)(size_t)(0xc00 + device);
    ANSWER("%d", device);
}
int cuCtxGetCurrent(void** context) {
    *context = depth ? stack[depth - 1] : 0;
    return 0;
}
int cuCtxPushCurrent_v2(void* context) {
    stack[depth++] = context;
    ANSWER("%p", context);
}
int cuCtxPopCurrent_v2(void** context) {
    *context = stack[--depth];
    ANSWER("%p", *context);
}
int cuModuleLoadData(void** module, const char* image) {
    *module = (void*)0x30;
    ANSWER("%.40s", image);
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    *function = (void*)(0x40 + strlen(name));
    ANSWER("%p, %s", module, name);
}
int cuFuncGetAttribute(int* value, int which, void* function) {
    *value = 32;
    ANSWER("%d, %p", which, function);
}
int cuFuncSetAttribute(void* function, int which, int value) { ANSWER("%p, %d, %d", function, which, value); }
int cuLaunchKernel(void* function, unsigned x, unsigned y, unsigned z, unsigned a, unsigned b, unsigned c,
                   unsigned shared, void* stream, void** arguments, void** extra) {
    memcpy(copied, arguments[0], size_of_argument);
    ANSWER("%p, %u %u %u, %u %u %u, %u, %p, %s, in %p", function, x, y, z, a, b, c, shared, stream,
           extra ? "extra" : "none", depth ? stack[depth - 1] : 0);
}
int cuGetErrorName(int number, const char** name) {
    *name = number == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : 0;
    return number != 2;
}
int cuGetErrorString(int number, const char** text) {
    *text = number == 2 ? "out of memory" : 0;
    return number != 2;
}
