// Stands in for NVRTC: its code is what it was given; it counts in a file how often it compiles, and fails where told
// to.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char code[1 << 16];
    char log[256];
} Program;
static const char* failing;

static int answer(const char* name) {
    failing = getenv("FAKE_NVRTC_FAILS");
    return failing && !strcmp(failing, name) ? 1 : 0;
}
const char* nvrtcGetErrorString(int number) {
    return number == 1 ? "NVRTC_ERROR_OUT_OF_MEMORY" : number == 6 ? "NVRTC_ERROR_COMPILATION" : 0;
}
int nvrtcVersion(int* major, int* minor) {
    *major = 12;
    *minor = 8;
    return answer("nvrtcVersion");
}
int nvrtcGetNumSupportedArchs(int* count) {
    *count = 4;
    return 0;
}
int nvrtcGetSupportedArchs(int* known) {
    int all[] = {90, 80, 86, 75};
    memcpy(known, all, sizeof all);
    return 0;
}
int nvrtcCreateProgram(Program** program, const char* text, const char* name, int count, const char** headers,
                       const char** names) {
    *program = calloc(1, sizeof(Program));
    sprintf((*program)->code, "%s: %s", name, text);
    for (int i = 0; i < count; ++i)
        sprintf((*program)->code + strlen((*program)->code), " [%s: %s]", names[i], headers[i]);
    return answer("nvrtcCreateProgram");
}
int nvrtcCompileProgram(Program* program, int count, const char** options) {
    for (int i = 0; i < count; ++i) sprintf(program->code + strlen(program->code), " %s", options[i]);
    const char* path = getenv("FAKE_NVRTC_COUNTS");
    FILE* file = path ? fopen(path, "a") : 0;
    if (file) {
        fputs("x", file);
        fclose(file);
    }
    sprintf(program->log, "%d options", count);
    return strstr(program->code, "#error") ? 6 : answer("nvrtcCompileProgram");
}
int nvrtcGetProgramLogSize(Program* program, size_t* size) {
    *size = strlen(program->log) + 1;
    return 0;
}
int nvrtcGetProgramLog(Program* program, char* log) {
    strcpy(log, program->log);
    return 0;
}
int nvrtcGetCUBINSize(Program* program, size_t* size) {
    *size = strlen(program->code);
    return answer("nvrtcGetCUBINSize");
}
int nvrtcGetCUBIN(Program* program, char* code) {
    memcpy(code, program->code, strlen(program->code));
    return 0;
}
int nvrtcDestroyProgram(Program** program) {
    free(*program);
    *program = 0;
    return 0;
}
