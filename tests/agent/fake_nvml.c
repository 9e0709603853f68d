/* A libnvidia-ml.so.1 that plays the GPUs a text file describes, read anew at every call.
 *
 * The file, named by FAKE_NVML_STATE, has one thing per line; what a line does not name is not
 * supported, and underscores stand for spaces in names:
 *
 *   driver error=9 load=2               every call fails with this NVML error; which load of the
 *                                       driver this is: a library begun on another one fails
 *   gpu uuid=GPU-a minor=0 name=H100 energy=1000 power=70000 instant=71000 average=70500
 *       module=400000 limit=700000 utilization=30 mig=1 gpm=1 error=15
 *                                       energy in mJ, powers in mW (one line; indexes count up)
 *   mig gpu=0 uuid=MIG-a gi=1 slices=1 compute=1 profile=19 start=0 sm=50
 *   process gpu=0 pid=7 sm=40 time=1000
 *
 * FAKE_NVML_CALLS may name a file to which the name of each call is added.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UNINITIALIZED = 1, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, UNKNOWN = 999 };
enum { MIG_HANDLES = 1000, PER_GPU = 100 };

/* A handle is the index of a GPU plus one, or MIG_HANDLES + gpu * PER_GPU + index of the MIG device. */
typedef size_t handle_t;

static void called(const char *name) {
    const char *path = getenv("FAKE_NVML_CALLS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (!file) return;
    fprintf(file, "%s\n", name);
    fclose(file);
}

static int word(const char *line, const char *key, char *value, size_t size) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, " %s=", key);
    const char *found = strstr(line, wanted);
    if (!found) return 0;
    found += strlen(wanted);
    size_t length = strcspn(found, " \n");
    if (length >= size) length = size - 1;
    memcpy(value, found, length);
    value[length] = 0;
    for (char *c = value; *c; c++) if (*c == '_') *c = ' ';
    return 1;
}

static int number(const char *line, const char *key, long long *value) {
    char text[64];
    if (!word(line, key, text, sizeof text)) return 0;
    *value = atoll(text);
    return 1;
}

/* The nth line of a kind, of those that belong to a GPU (any if below 0). */
static int line_of(const char *kind, long long gpu, unsigned n, char *line, int size) {
    const char *path = getenv("FAKE_NVML_STATE");
    FILE *file = path ? fopen(path, "r") : NULL;
    int found = 0;
    size_t length = strlen(kind);
    long long owner;
    if (!file) return 0;
    while (!found && fgets(line, size, file)) {
        if (strncmp(line, kind, length) || line[length] != ' ') continue;
        if (gpu >= 0 && (!number(line, "gpu", &owner) || owner != gpu)) continue;
        found = n-- == 0;
    }
    fclose(file);
    return found;
}

/* As in the real library: it begins with the first user and ends with the last. */
static int users;
static long long begun_on;

static long long driver(const char *key) {
    char line[256];
    long long value = 0;
    if (line_of("driver", -1, 0, line, sizeof line)) number(line, key, &value);
    return value;
}

static int driver_error(void) {
    if (driver("error")) return (int)driver("error");
    if (!users) return UNINITIALIZED;
    return driver("load") == begun_on ? 0 : UNKNOWN;
}

static long long gpu_of(handle_t handle) {
    return handle < MIG_HANDLES ? (long long)handle - 1 : (long long)(handle - MIG_HANDLES) / PER_GPU;
}

/* The line that a handle stands for, or the error that the driver or the card gives. */
static int device(void *opaque, char *line, int size, const char *name) {
    handle_t handle = (handle_t)opaque;
    long long error, gpu = gpu_of(handle);
    called(name);
    if (driver_error()) return driver_error();
    if (!line_of("gpu", -1, (unsigned)gpu, line, size)) return LOST;
    if (number(line, "error", &error)) return (int)error;
    if (handle >= MIG_HANDLES && !line_of("mig", gpu, (handle - MIG_HANDLES) % PER_GPU, line, size))
        return NOT_FOUND;
    return 0;
}

static int read_number(void *handle, const char *key, long long *value, const char *name) {
    char line[512];
    int error = device(handle, line, sizeof line, name);
    if (error) return error;
    return number(line, key, value) ? 0 : NOT_SUPPORTED;
}

static int read_unsigned(void *handle, const char *key, unsigned *value, const char *name) {
    long long wide = 0;
    int error = read_number(handle, key, &wide, name);
    if (!error) *value = (unsigned)wide;
    return error;
}

static int read_text(void *handle, const char *key, char *text, unsigned size, const char *name) {
    char line[512];
    int error = device(handle, line, sizeof line, name);
    if (error) return error;
    return word(line, key, text, size) ? 0 : NOT_SUPPORTED;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    called("Init");
    if (driver("error")) return (int)driver("error");
    if (!users++) begun_on = driver("load");
    return 0;
}
int nvmlShutdown(void) {
    called("Shutdown");
    if (!users) return UNINITIALIZED;
    users--;
    return 0;
}
const char *nvmlErrorString(int error) { (void)error; return "an NVML error"; }

int nvmlDeviceGetCount_v2(unsigned *count) {
    char line[512];
    if (driver_error()) return driver_error();
    for (*count = 0; line_of("gpu", -1, *count, line, sizeof line); (*count)++);
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(handle_t)(index + 1);
    char line[512];
    return device(*handle, line, sizeof line, "HandleByIndex");
}
int nvmlDeviceGetUUID(void *handle, char *uuid, unsigned size) {
    return read_text(handle, "uuid", uuid, size, "UUID");
}
int nvmlDeviceGetName(void *handle, char *name, unsigned size) {
    return read_text(handle, "name", name, size, "Name");
}
int nvmlDeviceGetMinorNumber(void *handle, unsigned *minor) {
    return read_unsigned(handle, "minor", minor, "MinorNumber");
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy) {
    long long value;
    int error = read_number(handle, "energy", &value, "TotalEnergyConsumption");
    if (!error) *energy = (unsigned long long)value;
    return error;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *power) {
    return read_unsigned(handle, "power", power, "PowerUsage");
}
int nvmlDeviceGetPowerManagementDefaultLimit(void *handle, unsigned *limit) {
    return read_unsigned(handle, "limit", limit, "PowerManagementDefaultLimit");
}

struct utilization { unsigned gpu, memory; };
int nvmlDeviceGetUtilizationRates(void *handle, struct utilization *rates) {
    rates->memory = 0;
    return read_unsigned(handle, "utilization", &rates->gpu, "UtilizationRates");
}

struct field {
    unsigned id, scope;
    long long timestamp, latency;
    int type, error;
    union { double d; unsigned ui; unsigned long long ull; } value;
};
int nvmlDeviceGetFieldValues(void *handle, int count, struct field *values) {
    char line[512];
    int error = device(handle, line, sizeof line, "FieldValues");
    if (error) return error;
    for (int i = 0; i < count; i++) {
        const char *key = values[i].id == 186 ? "instant" : values[i].id == 185 ? "average" : "none";
        long long value;
        if (values[i].scope == 1) key = "module";
        values[i].type = 1;
        values[i].error = number(line, key, &value) ? 0 : NOT_SUPPORTED;
        if (!values[i].error) values[i].value.ui = (unsigned)value;
    }
    return 0;
}

int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    int error = read_unsigned(handle, "mig", current, "MigMode");
    *pending = *current;
    return error;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) {
    char line[512];
    int error = device(handle, line, sizeof line, "MaxMigDeviceCount");
    long long most;
    *count = number(line, "slices", &most) ? (unsigned)most : 7;
    return error;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **mig) {
    char line[512];
    long long gpu = gpu_of((handle_t)handle);
    int error = device(handle, line, sizeof line, "MigDeviceHandleByIndex");
    if (error) return error;
    if (!line_of("mig", gpu, index, line, sizeof line)) return NOT_FOUND;
    *mig = (void *)(handle_t)(MIG_HANDLES + gpu * PER_GPU + index);
    return 0;
}
int nvmlDeviceGetGpuInstanceId(void *handle, unsigned *id) {
    return read_unsigned(handle, "gi", id, "GpuInstanceId");
}

struct attributes { unsigned sms, copy, decoders, encoders, jpeg, ofa, slices, compute; unsigned long long memory; };
int nvmlDeviceGetAttributes_v2(void *handle, struct attributes *attributes) {
    memset(attributes, 0, sizeof *attributes);
    int error = read_unsigned(handle, "slices", &attributes->slices, "Attributes");
    if (!error && read_unsigned(handle, "compute", &attributes->compute, "Attributes"))
        attributes->compute = attributes->slices;
    return error;
}

struct instance { void *device; unsigned id, profile, start, size; };
/* A GPU instance's handle is that of its first MIG device. */
int nvmlDeviceGetGpuInstanceById(void *handle, unsigned id, void **instance) {
    char line[512];
    long long gi, gpu = gpu_of((handle_t)handle);
    called("GpuInstanceById");
    for (unsigned n = 0; line_of("mig", gpu, n, line, sizeof line); n++)
        if (number(line, "gi", &gi) && gi == id) {
            *instance = (void *)(handle_t)(MIG_HANDLES + gpu * PER_GPU + n);
            return 0;
        }
    return NOT_FOUND;
}
int nvmlGpuInstanceGetInfo(void *handle, struct instance *info) {
    memset(info, 0, sizeof *info);
    int error = read_unsigned(handle, "profile", &info->profile, "GpuInstanceInfo");
    return error ? error : read_unsigned(handle, "start", &info->start, "GpuInstanceInfo");
}

struct process { unsigned pid; unsigned long long time; unsigned sm, memory, encoder, decoder; };
int nvmlDeviceGetProcessUtilization(void *handle, struct process *samples, unsigned *count, unsigned long long since) {
    char line[512];
    long long pid, sm, time, gpu = gpu_of((handle_t)handle);
    unsigned found = 0;
    int error = device(handle, line, sizeof line, "ProcessUtilization");
    if (error) return error;
    for (unsigned n = 0; line_of("process", gpu, n, line, sizeof line); n++) {
        if (!number(line, "time", &time)) time = 1;
        if (!number(line, "pid", &pid) || !number(line, "sm", &sm) || (unsigned long long)time <= since) continue;
        if (samples && found < *count) {
            memset(&samples[found], 0, sizeof *samples);
            samples[found].pid = (unsigned)pid;
            samples[found].time = (unsigned long long)time;
            samples[found].sm = (unsigned)sm;
        }
        found++;
    }
    if (!found) return NOT_FOUND;
    if (!samples || found > *count) { *count = found; return TOO_SMALL; }
    *count = found;
    return 0;
}

struct support { unsigned version, supported; };
int nvmlGpmQueryDeviceSupport(void *handle, struct support *support) {
    return read_unsigned(handle, "gpm", &support->supported, "GpmQueryDeviceSupport");
}
/* A sample remembers whose it is; the activity is what the file says when metrics are asked for. */
struct sample { long long gpu; unsigned gi; int taken; };
int nvmlGpmSampleAlloc(struct sample **sample) { called("GpmSampleAlloc"); *sample = calloc(1, sizeof **sample); return 0; }
int nvmlGpmSampleFree(struct sample *sample) { called("GpmSampleFree"); free(sample); return 0; }
int nvmlGpmMigSampleGet(void *handle, unsigned gi, struct sample *sample) {
    char line[512];
    int error = device(handle, line, sizeof line, "GpmMigSampleGet");
    *sample = (struct sample){gpu_of((handle_t)handle), gi, 1};
    return error;
}
struct metric { unsigned id; int error; double value; const char *names[3]; };
struct metrics { unsigned version, count; struct sample *one, *two; struct metric metric[1]; };
int nvmlGpmMetricsGet(struct metrics *metrics) {
    char line[512];
    long long gi, sm;
    called("GpmMetricsGet");
    if (!metrics->one->taken || !metrics->two->taken) return 2;
    metrics->metric[0].error = NOT_SUPPORTED;
    for (unsigned n = 0; line_of("mig", metrics->two->gpu, n, line, sizeof line); n++)
        if (number(line, "gi", &gi) && gi == metrics->two->gi && number(line, "sm", &sm)) {
            metrics->metric[0].error = 0;
            metrics->metric[0].value = (double)sm;
        }
    return 0;
}
