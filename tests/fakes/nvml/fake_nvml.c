/* A libnvidia-ml.so.1 without GPUs: it answers nvidia-ml-py from a scenario file (README.md beside this).
 *
 * The file is named by EVENWATT_FAKE_NVML and read on every call, so a test changes the hardware under a running
 * program by renaming a new file over it. Nothing is remembered but who initialised the library and which
 * handle belongs to which UUID: power and energy follow from the file and CLOCK_BOOTTIME, the same for everyone.
 */

#define _GNU_SOURCE

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_GPUS 16
#define MAX_HANDLES 64
#define MAX_INSTANCES 8
#define MAX_PROCESSES 64
#define MAX_RULES 32
#define MAX_SEGMENTS 256
#define MAX_SYMBOLS 64
#define NAME_SIZE 96
#define TEXT_SIZE 262144

/* The numbers of nvmlReturn_t, as nvidia-ml-py has them. */
typedef int nvmlReturn_t;
enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    GPU_IS_LOST = 15,
};

typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef struct { unsigned int version, sensor; int temperature; } nvmlTemperature_t;
typedef struct {
    unsigned int pid;
    unsigned long long used_memory;
    unsigned int gpu_instance, compute_instance;
} nvmlProcessInfo_t;
typedef struct {
    unsigned int pid;
    unsigned long long time_stamp;
    unsigned int sm, memory, encoder, decoder;
} nvmlProcessUtilizationSample_t;
typedef struct {
    unsigned int multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gpu_slices, compute_slices;
    unsigned long long memory_mib;
} nvmlDeviceAttributes_t;
typedef struct {
    unsigned int id, is_p2p_supported, slices, instances, multiprocessors, copy_engines, decoders, encoders, jpegs, ofas;
    unsigned long long memory_mib;
} nvmlGpuInstanceProfileInfo_t;

/* ---- the scenario ---- */

typedef struct { double from, watts, swing, period; } Segment;
typedef enum { FAULT, DELAY, HANG, STUCK } Effect;
typedef struct { char symbol[NAME_SIZE]; Effect effect; double value; } Rule;
typedef struct { Rule items[MAX_RULES]; int count; } Rules;

typedef struct {
    bool can_list;
    nvmlProcessInfo_t items[MAX_PROCESSES];
    unsigned int sm[MAX_PROCESSES];
    unsigned int count;
} Processes;

typedef struct { char uuid[NAME_SIZE]; unsigned int slices; Processes processes; } Instance;

typedef struct {
    char uuid[NAME_SIZE], name[NAME_SIZE];
    Segment power[MAX_SEGMENTS];
    int segments;
    double energy_since, limit_watts;
    unsigned long long memory_used, memory_total;
    int utilization, temperature;
    bool has_energy, has_limit, has_memory, has_utilization, has_temperature, has_process_utilization, has_mig;
    Processes processes, drawing;
    unsigned int compute_slices;
    Instance instances[MAX_INSTANCES];
    unsigned int instance_count;
    Rules rules;
} Gpu;

typedef struct {
    int init_code;
    char driver[NAME_SIZE];
    Gpu gpus[MAX_GPUS];
    unsigned int gpu_count;
    Rules rules;
} Scenario;

typedef struct { char uuid[NAME_SIZE]; } Handle;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Scenario scenario;
static char scenario_text[TEXT_SIZE];
static Handle handles[MAX_HANDLES];
static int handle_count;
static int open_count;
static char client_file[PATH_MAX];
static struct { char symbol[NAME_SIZE]; unsigned long calls; } calls[MAX_SYMBOLS];

/* A mistake in a test must not look like a GPU that fails. */
static void refuse(const char *what, const char *where) {
    fprintf(stderr, "fake NVML: %s: %s\n", what, where);
    abort();
}

static void claim(int used, int limit, const char *line) {
    if (used >= limit) refuse("too many", line);
}

static void add_rule(Rules *rules, Effect effect, const char *symbol, double value, const char *line) {
    claim(rules->count, MAX_RULES, line);
    Rule *rule = &rules->items[rules->count++];
    snprintf(rule->symbol, sizeof rule->symbol, "%s", symbol);
    rule->effect = effect;
    rule->value = value;
}

static bool parse_rule(Rules *rules, const char *line) {
    char symbol[NAME_SIZE];
    double value;
    if (sscanf(line, "fault %95s %lf", symbol, &value) == 2) add_rule(rules, FAULT, symbol, value, line);
    else if (sscanf(line, "delay %95s %lf", symbol, &value) == 2) add_rule(rules, DELAY, symbol, value, line);
    else if (sscanf(line, "hang %95s", symbol) == 1) add_rule(rules, HANG, symbol, 0, line);
    else if (sscanf(line, "stuck %95s", symbol) == 1) add_rule(rules, STUCK, symbol, 0, line);
    else return false;
    return true;
}

static void parse_global(Scenario *into, const char *line) {
    if (sscanf(line, "init %d", &into->init_code) == 1) return;
    if (sscanf(line, "driver %95s", into->driver) == 1) return;
    if (!parse_rule(&into->rules, line)) refuse("cannot read", line);
}

static void parse_process(Processes *into, const char *line) {
    claim((int)into->count, MAX_PROCESSES, line);
    nvmlProcessInfo_t *process = &into->items[into->count];
    unsigned int *sm = &into->sm[into->count++];
    *process = (nvmlProcessInfo_t){.gpu_instance = UINT_MAX, .compute_instance = UINT_MAX};
    if (sscanf(line, "%*s %u %llu %u", &process->pid, &process->used_memory, sm) >= 2) return;
    if (sscanf(line, "%*s %u - %u", &process->pid, sm) < 1) refuse("cannot read", line);
    process->used_memory = ULLONG_MAX; /* NVML_VALUE_NOT_AVAILABLE */
}

static void parse_instance(Gpu *gpu, const char *line) {
    claim((int)gpu->instance_count, MAX_INSTANCES, line);
    Instance *next = &gpu->instances[gpu->instance_count++];
    if (sscanf(line, "instance %95s %u", next->uuid, &next->slices) != 2) refuse("cannot read", line);
}

static void parse_power(Gpu *gpu, const char *line) {
    claim(gpu->segments, MAX_SEGMENTS, line);
    Segment *next = &gpu->power[gpu->segments++];
    if (sscanf(line, "power %lf %lf %lf %lf", &next->from, &next->watts, &next->swing, &next->period) != 4)
        refuse("cannot read", line);
}

/* Of the instance that was begun last; without one, of the whole GPU. */
static Processes *processes_of_last(Gpu *gpu) {
    return gpu->instance_count > 0 ? &gpu->instances[gpu->instance_count - 1].processes : &gpu->processes;
}

static void parse_gpu(Gpu *gpu, const char *line) {
    if (strncmp(line, "power ", 6) == 0) parse_power(gpu, line);
    else if (strncmp(line, "process ", 8) == 0) parse_process(processes_of_last(gpu), line);
    else if (strncmp(line, "drawing ", 8) == 0) parse_process(&gpu->drawing, line);
    else if (strncmp(line, "instance ", 9) == 0) parse_instance(gpu, line);
    else if (strcmp(line, "processes") == 0) processes_of_last(gpu)->can_list = true;
    else if (strcmp(line, "process_utilization") == 0) gpu->has_process_utilization = true;
    else if (sscanf(line, "mig %u", &gpu->compute_slices) == 1) gpu->has_mig = true;
    else if (sscanf(line, "energy_since %lf", &gpu->energy_since) == 1) gpu->has_energy = true;
    else if (sscanf(line, "limit %lf", &gpu->limit_watts) == 1) gpu->has_limit = true;
    else if (sscanf(line, "memory %llu %llu", &gpu->memory_used, &gpu->memory_total) == 2) gpu->has_memory = true;
    else if (sscanf(line, "utilization %d", &gpu->utilization) == 1) gpu->has_utilization = true;
    else if (sscanf(line, "temperature %d", &gpu->temperature) == 1) gpu->has_temperature = true;
    else if (!parse_rule(&gpu->rules, line)) refuse("cannot read", line);
}

static Gpu *add_gpu(Scenario *into, const char *line) {
    claim((int)into->gpu_count, MAX_GPUS, line);
    Gpu *gpu = &into->gpus[into->gpu_count++];
    if (sscanf(line, "gpu %95s %95[^\n]", gpu->uuid, gpu->name) != 2) refuse("cannot read", line);
    return gpu;
}

static void parse(const char *text) {
    static char lines[TEXT_SIZE];
    memcpy(lines, text, TEXT_SIZE);
    memset(&scenario, 0, sizeof scenario);
    Gpu *gpu = NULL;
    char *rest = NULL;
    for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "gpu ", 4) == 0) gpu = add_gpu(&scenario, line);
        else if (gpu != NULL) parse_gpu(gpu, line);
        else parse_global(&scenario, line);
    }
}

/* Reads the file anew; only a changed text is parsed. Without a file there is no driver. Needs the lock. */
static void load(void) {
    static char text[TEXT_SIZE];
    const char *path = getenv("EVENWATT_FAKE_NVML");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL) {
        snprintf(text, sizeof text, "init %d\n", DRIVER_NOT_LOADED);
    } else {
        size_t length = fread(text, 1, sizeof text, file);
        fclose(file);
        if (length >= sizeof text) refuse("too long", path);
        text[length] = '\0';
    }
    if (strcmp(text, scenario_text) == 0) return;
    strcpy(scenario_text, text);
    parse(text);
}

/* ---- power and energy ---- */

static double boot_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double radians(const Segment *segment, double at) {
    return segment->period > 0 ? 2 * M_PI * (at - segment->from) / segment->period : 0;
}

static double power_watts(const Gpu *gpu, double at) {
    for (int i = gpu->segments - 1; i >= 0; i--) {
        const Segment *segment = &gpu->power[i];
        if (at >= segment->from) return segment->watts + segment->swing * sin(radians(segment, at));
    }
    return 0;
}

/* The integral of watts + swing * sin(2 pi (t - from) / period) from `begin` to `end`. */
static double segment_joules(const Segment *segment, double begin, double end) {
    double wave = cos(radians(segment, begin)) - cos(radians(segment, end));
    return segment->watts * (end - begin) + segment->swing * segment->period / (2 * M_PI) * wave;
}

static double energy_joules(const Gpu *gpu, double at) {
    double joules = 0;
    for (int i = 0; i < gpu->segments; i++) {
        double begin = fmax(gpu->power[i].from, gpu->energy_since);
        double end = i + 1 < gpu->segments ? fmin(gpu->power[i + 1].from, at) : at;
        if (end > begin) joules += segment_joules(&gpu->power[i], begin, end);
    }
    return joules;
}

/* ---- what every call does first ---- */

static void sleep_seconds(double seconds) {
    struct timespec left = {.tv_sec = (time_t)seconds, .tv_nsec = (long)((seconds - floor(seconds)) * 1e9)};
    while (nanosleep(&left, &left) != 0) {}
}

static void count_call(const char *symbol) {
    int i = 0;
    while (calls[i].calls > 0 && strcmp(calls[i].symbol, symbol) != 0) claim(++i, MAX_SYMBOLS, symbol);
    snprintf(calls[i].symbol, sizeof calls[i].symbol, "%s", symbol);
    calls[i].calls++;
}

static const Instance *find_instance(const Gpu *gpu, const char *uuid) {
    for (unsigned int i = 0; i < gpu->instance_count; i++)
        if (strcmp(gpu->instances[i].uuid, uuid) == 0) return &gpu->instances[i];
    return NULL;
}

/* An instance is found as its card: whatever is not told of instances is, on a real one, told of the whole card. */
static Gpu *find_gpu(const char *uuid) {
    for (unsigned int i = 0; i < scenario.gpu_count; i++) {
        Gpu *gpu = &scenario.gpus[i];
        if (strcmp(gpu->uuid, uuid) == 0 || find_instance(gpu, uuid) != NULL) return gpu;
    }
    return NULL;
}

static Handle *handle_of(const char *uuid) {
    for (int i = 0; i < handle_count; i++)
        if (strcmp(handles[i].uuid, uuid) == 0) return &handles[i];
    claim(handle_count, MAX_HANDLES, uuid);
    snprintf(handles[handle_count].uuid, sizeof handles[handle_count].uuid, "%s", uuid);
    return &handles[handle_count++];
}

/* `*` means every call on a GPU; a call on the library is meant only by its name. */
static const Rule *rule_of(const Rules *rules, const char *symbol, bool is_device_call, Effect effect) {
    for (int i = 0; i < rules->count; i++) {
        const Rule *rule = &rules->items[i];
        bool matches = strcmp(rule->symbol, symbol) == 0 || (is_device_call && strcmp(rule->symbol, "*") == 0);
        if (matches && rule->effect == effect) return rule;
    }
    return NULL;
}

static const Rule *find_rule(const char *symbol, const char *uuid, Effect effect) {
    const Gpu *gpu = uuid == NULL ? NULL : find_gpu(uuid);
    const Rule *rule = gpu == NULL ? NULL : rule_of(&gpu->rules, symbol, true, effect);
    return rule != NULL ? rule : rule_of(&scenario.rules, symbol, uuid != NULL, effect);
}

/* Waits as the scenario says and returns the fault of this call, if any. The lock is held before and after,
 * never while waiting: a call that hangs must not stop other threads. */
static nvmlReturn_t suffer(const char *symbol, const char *uuid) {
    bool delayed = false;
    for (;;) {
        load();
        const Rule *delay = delayed ? NULL : find_rule(symbol, uuid, DELAY);
        bool stuck = find_rule(symbol, uuid, STUCK) != NULL;
        if (!stuck && delay == NULL && find_rule(symbol, uuid, HANG) == NULL) {
            const Rule *fault = find_rule(symbol, uuid, FAULT);
            return fault == NULL ? SUCCESS : (nvmlReturn_t)fault->value;
        }
        double seconds = delay != NULL ? delay->value : 0.002;
        delayed = true;
        pthread_mutex_unlock(&lock);
        do sleep_seconds(seconds); while (stuck);
        pthread_mutex_lock(&lock);
    }
}

static nvmlReturn_t begin(const char *symbol, const char *uuid) {
    pthread_mutex_lock(&lock);
    count_call(symbol);
    nvmlReturn_t fault = suffer(symbol, uuid);
    return open_count == 0 ? UNINITIALIZED : fault;
}

static nvmlReturn_t end(nvmlReturn_t answer) {
    pthread_mutex_unlock(&lock);
    return answer;
}

/* Runs what follows the UUID, which sees `gpu` of the present scenario, between begin() and end(). */
#define ANSWER_FOR(uuid_, ...)                                \
    do {                                                      \
        nvmlReturn_t result = begin(__func__, uuid_);         \
        if (result != SUCCESS) return end(result);            \
        const Gpu *gpu = find_gpu(uuid_);                     \
        if (gpu == NULL) return end(GPU_IS_LOST);             \
        __VA_ARGS__                                           \
        return end(SUCCESS);                                  \
    } while (0)

static nvmlReturn_t give_text(const char *value, char *text, unsigned int length) {
    if (strlen(value) >= length) return INSUFFICIENT_SIZE;
    strcpy(text, value);
    return SUCCESS;
}

/* ---- the library ---- */

static void enter_client(void) {
    char folder[PATH_MAX - 32];
    snprintf(folder, sizeof folder, "%s.clients", getenv("EVENWATT_FAKE_NVML"));
    mkdir(folder, 0777);
    snprintf(client_file, sizeof client_file, "%s/%d", folder, (int)getpid());
    FILE *file = fopen(client_file, "we");
    if (file == NULL) refuse("cannot write", client_file);
    fclose(file);
}

EXPORT nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    pthread_mutex_lock(&lock);
    count_call(__func__);
    nvmlReturn_t result = suffer(__func__, NULL);
    if (result == SUCCESS) result = scenario.init_code;
    if (result == SUCCESS && open_count++ == 0) enter_client();
    return end(result);
}

EXPORT nvmlReturn_t nvmlShutdown(void) {
    nvmlReturn_t result = begin(__func__, NULL);
    if (result == SUCCESS && --open_count == 0) unlink(client_file);
    return end(result);
}

EXPORT const char *nvmlErrorString(nvmlReturn_t code) {
    static __thread char text[64];
    snprintf(text, sizeof text, "fake NVML return code %d", code);
    return text;
}

EXPORT nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    nvmlReturn_t result = begin(__func__, NULL);
    return end(result != SUCCESS ? result : give_text(scenario.driver, version, length));
}

EXPORT nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *count) {
    nvmlReturn_t result = begin(__func__, NULL);
    *count = scenario.gpu_count;
    return end(result);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, Handle **device) {
    char uuid[NAME_SIZE];
    pthread_mutex_lock(&lock);
    load();
    strcpy(uuid, index < scenario.gpu_count ? scenario.gpus[index].uuid : "");
    pthread_mutex_unlock(&lock);
    nvmlReturn_t result = begin(__func__, uuid);
    if (result == SUCCESS && find_gpu(uuid) == NULL) result = INVALID_ARGUMENT;
    if (result == SUCCESS) *device = handle_of(uuid);
    return end(result);
}

EXPORT nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, Handle **device) {
    nvmlReturn_t result = begin(__func__, uuid);
    if (result == SUCCESS && find_gpu(uuid) == NULL) result = NOT_FOUND;
    if (result == SUCCESS) *device = handle_of(uuid);
    return end(result);
}

EXPORT nvmlReturn_t nvmlDeviceGetUUID(Handle *device, char *uuid, unsigned int length) {
    ANSWER_FOR(device->uuid, { return end(give_text(device->uuid, uuid, length)); });
}

EXPORT nvmlReturn_t nvmlDeviceGetName(Handle *device, char *name, unsigned int length) {
    ANSWER_FOR(device->uuid, { return end(give_text(gpu->name, name, length)); });
}

EXPORT nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(Handle *device, unsigned long long *millijoules) {
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_energy) return end(NOT_SUPPORTED);
        *millijoules = (unsigned long long)(energy_joules(gpu, boot_seconds()) * 1e3);
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetPowerUsage(Handle *device, unsigned int *milliwatts) {
    ANSWER_FOR(device->uuid, {
        if (gpu->segments == 0) return end(NOT_SUPPORTED);
        *milliwatts = (unsigned int)lround(power_watts(gpu, boot_seconds()) * 1e3);
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(Handle *device, unsigned int *milliwatts) {
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_limit) return end(NOT_SUPPORTED);
        *milliwatts = (unsigned int)lround(gpu->limit_watts * 1e3);
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetUtilizationRates(Handle *device, nvmlUtilization_t *rates) {
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_utilization) return end(NOT_SUPPORTED);
        *rates = (nvmlUtilization_t){.gpu = (unsigned int)gpu->utilization};
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetMemoryInfo(Handle *device, nvmlMemory_t *memory) {
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_memory) return end(NOT_SUPPORTED);
        memory->total = gpu->memory_total;
        memory->used = gpu->memory_used;
        memory->free = gpu->memory_total - gpu->memory_used;
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperatureV(Handle *device, nvmlTemperature_t *reading) {
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_temperature) return end(NOT_SUPPORTED);
        reading->temperature = gpu->temperature;
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetTemperature(Handle *device, unsigned int sensor, unsigned int *celsius) {
    (void)sensor;
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_temperature) return end(NOT_SUPPORTED);
        *celsius = (unsigned int)gpu->temperature;
    });
}

static nvmlReturn_t list_processes(const Gpu *gpu, const char *uuid, unsigned int *count, nvmlProcessInfo_t *list) {
    const Instance *instance = find_instance(gpu, uuid);
    const Processes *processes = instance == NULL ? &gpu->processes : &instance->processes;
    unsigned int room = *count;
    if (!processes->can_list) return NOT_SUPPORTED;
    *count = processes->count;
    if (room < processes->count) return INSUFFICIENT_SIZE;
    if (list != NULL) memcpy(list, processes->items, processes->count * sizeof *list);
    return SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(Handle *device, unsigned int *count,
                                                            nvmlProcessInfo_t *list) {
    ANSWER_FOR(device->uuid, { return end(list_processes(gpu, device->uuid, count, list)); });
}

EXPORT nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(Handle *device, unsigned int *count,
                                                            nvmlProcessInfo_t *list) {
    ANSWER_FOR(device->uuid, { return end(list_processes(gpu, device->uuid, count, list)); });
}

/* One sample for each process that was not idle, taken now; with none, NOT_FOUND. */
static nvmlReturn_t sample_processes(const Gpu *gpu, nvmlProcessUtilizationSample_t *list, unsigned int *count,
                                     unsigned long long last_seen) {
    const Processes *both[] = {&gpu->processes, &gpu->drawing};
    struct timespec now;
    unsigned int busy = 0, room = *count;
    clock_gettime(CLOCK_REALTIME, &now);
    unsigned long long micros = (unsigned long long)now.tv_sec * 1000000 + (unsigned long long)now.tv_nsec / 1000;
    if (!gpu->has_process_utilization || gpu->has_mig) return NOT_SUPPORTED;
    for (int kind = 0; kind < 2; kind++) {
        for (unsigned int i = 0; micros > last_seen && i < both[kind]->count; i++) {
            if (both[kind]->sm[i] == 0) continue;
            if (list != NULL && busy < room)
                list[busy] = (nvmlProcessUtilizationSample_t){
                    .pid = both[kind]->items[i].pid, .time_stamp = micros, .sm = both[kind]->sm[i]};
            busy++;
        }
    }
    *count = busy;
    if (busy == 0) return NOT_FOUND;
    return list == NULL || busy > room ? INSUFFICIENT_SIZE : SUCCESS;
}

EXPORT nvmlReturn_t nvmlDeviceGetProcessUtilization(Handle *device, nvmlProcessUtilizationSample_t *list,
                                                    unsigned int *count, unsigned long long last_seen) {
    ANSWER_FOR(device->uuid, { return end(sample_processes(gpu, list, count, last_seen)); });
}

/* ---- MIG ---- */

EXPORT nvmlReturn_t nvmlDeviceGetMigMode(Handle *device, unsigned int *current, unsigned int *pending) {
    ANSWER_FOR(device->uuid, {
        if (!gpu->has_mig) return end(NOT_SUPPORTED);
        *current = *pending = 1;
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(Handle *device, unsigned int *count) {
    ANSWER_FOR(device->uuid, { *count = gpu->has_mig ? MAX_INSTANCES : 0; });
}

EXPORT nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(Handle *device, unsigned int index, Handle **instance) {
    ANSWER_FOR(device->uuid, {
        if (index >= gpu->instance_count) return end(NOT_FOUND);
        *instance = handle_of(gpu->instances[index].uuid);
    });
}

EXPORT nvmlReturn_t nvmlDeviceGetAttributes_v2(Handle *device, nvmlDeviceAttributes_t *attributes) {
    ANSWER_FOR(device->uuid, {
        const Instance *instance = find_instance(gpu, device->uuid);
        if (instance == NULL) return end(NOT_SUPPORTED);
        *attributes = (nvmlDeviceAttributes_t){.gpu_slices = instance->slices, .compute_slices = instance->slices};
    });
}

/* Profile n of the fake has n + 1 slices, up to those of the card. */
EXPORT nvmlReturn_t nvmlDeviceGetGpuInstanceProfileInfo(Handle *device, unsigned int profile,
                                                        nvmlGpuInstanceProfileInfo_t *info) {
    ANSWER_FOR(device->uuid, {
        if (profile >= gpu->compute_slices) return end(NOT_SUPPORTED);
        *info = (nvmlGpuInstanceProfileInfo_t){.id = profile, .slices = profile + 1};
    });
}

/* Not NVML's: how often this process called a symbol, so that a test can see that a call was not made. */
EXPORT unsigned long fake_nvml_calls(const char *symbol) {
    pthread_mutex_lock(&lock);
    unsigned long count = 0;
    for (int i = 0; i < MAX_SYMBOLS && calls[i].calls > 0; i++)
        if (strcmp(calls[i].symbol, symbol) == 0) count = calls[i].calls;
    pthread_mutex_unlock(&lock);
    return count;
}
