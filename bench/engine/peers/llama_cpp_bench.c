// Times llama.cpp on one model through its C interface, printing one JSON line with the columns of
// `dougong bench --json`: load, prefill and decode rates, medians over repeats. Built by
// bench/engine/side_by_side against a llama.cpp that whoever runs the benchmark has installed.
//
// Usage: llama_cpp_bench LIB_DIR MODEL THREADS PROMPT_TOKENS DECODE_TOKENS REPEATS [DEPTH...]
// Each DEPTH also times decoding with that many tokens in the cache; a last argument "fa" or "nofa"
// turns the fused attention on or off, otherwise llama.cpp decides.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-backend.h"
#include "llama.h"

enum { kDepthsMax = 8 };

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/// CPU time of the whole process: steady where neighbours take the cores.
static double cpu_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static double median(double* values, int n) {
    qsort(values, (size_t)n, sizeof(double), by_value);
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static void quiet(enum ggml_log_level level, const char* text, void* user) {
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

/// Tokens per second of the clock and of CPU time.
struct rate {
    double wall, cpu;
};

/// Writes `decode` tokens behind what the cache holds. Rates of 0 when decoding fails.
static struct rate time_decode(struct llama_context* context, int decode, int vocab) {
    const struct rate failed = {0, 0};
    const double start = now_s(), cpu_start = cpu_s();
    for (int i = 0; i < decode; ++i) {
        llama_token token = rand() % vocab;
        if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) return failed;
        llama_synchronize(context);
    }
    const struct rate rate = {decode / (now_s() - start), decode / (cpu_s() - cpu_start)};
    return rate;
}

/// Fills an empty cache with the tokens; 0 when that works. Batches of 512.
static int fill(struct llama_context* context, llama_token* tokens, int count) {
    llama_memory_clear(llama_get_memory(context), true);
    for (int at = 0; at < count; at += 512) {
        const int batch = count - at < 512 ? count - at : 512;
        if (llama_decode(context, llama_batch_get_one(tokens + at, batch)) != 0) return 1;
    }
    llama_synchronize(context);
    return 0;
}

int main(int argc, char** argv) {
    if (argc < 7 || argc > 7 + kDepthsMax) {
        fprintf(stderr,
                "usage: %s LIB_DIR MODEL THREADS PROMPT_TOKENS DECODE_TOKENS REPEATS [DEPTH...] "
                "[fa|nofa]\n",
                argv[0]);
        return 64;
    }
    const int threads = atoi(argv[3]), prompt = atoi(argv[4]), decode = atoi(argv[5]);
    const int repeats = atoi(argv[6]);
    int depths[kDepthsMax], depth_count = 0, longest = prompt;
    enum llama_flash_attn_type fused = LLAMA_FLASH_ATTN_TYPE_AUTO;
    for (int i = 7; i < argc; ++i) {
        if (strcmp(argv[i], "fa") == 0) {
            fused = LLAMA_FLASH_ATTN_TYPE_ENABLED;
        } else if (strcmp(argv[i], "nofa") == 0) {
            fused = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        } else {
            depths[depth_count] = atoi(argv[i]);
            if (depths[depth_count] > longest) longest = depths[depth_count];
            ++depth_count;
        }
    }
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(argv[1]);

    const double load_start = now_s();
    struct llama_model_params model_params = llama_model_default_params();
    struct llama_model* model = llama_model_load_from_file(argv[2], model_params);
    if (!model) return 1;
    struct llama_context_params context_params = llama_context_default_params();
    context_params.n_ctx = (uint32_t)(longest + decode + 16);
    context_params.flash_attn_type = fused;
    context_params.n_batch = 2048;
    context_params.n_ubatch = 512;
    context_params.n_threads = threads;
    context_params.n_threads_batch = threads;
    struct llama_context* context = llama_init_from_model(model, context_params);
    if (!context) return 1;
    const double load_s = now_s() - load_start;

    const int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_token* tokens = malloc(sizeof(llama_token) * (size_t)longest);
    srand(1);
    for (int i = 0; i < longest; ++i) tokens[i] = rand() % vocab;

    double* prefill_rates = calloc((size_t)repeats, sizeof(double));
    double* decode_rates = calloc((size_t)repeats, sizeof(double));
    double* prefill_cpu = calloc((size_t)repeats, sizeof(double));
    double* decode_cpu = calloc((size_t)repeats, sizeof(double));
    double* deep_rates = calloc((size_t)(repeats * kDepthsMax), sizeof(double));
    double* deep_cpu = calloc((size_t)(repeats * kDepthsMax), sizeof(double));
    for (int repeat = -1; repeat < repeats; ++repeat) {  // -1: warm-up
        const double start = now_s(), cpu_start = cpu_s();
        if (fill(context, tokens, prompt) != 0) return 1;
        const double prefill_s = now_s() - start, prefill_cpu_s = cpu_s() - cpu_start;
        // Decode from an empty cache, as llama-bench's tg does.
        llama_memory_clear(llama_get_memory(context), true);
        const struct rate shallow = time_decode(context, decode, vocab);
        if (shallow.wall == 0) return 1;
        if (repeat < 0) continue;
        prefill_rates[repeat] = prompt / prefill_s;
        prefill_cpu[repeat] = prompt / prefill_cpu_s;
        decode_rates[repeat] = shallow.wall;
        decode_cpu[repeat] = shallow.cpu;
        for (int d = 0; d < depth_count; ++d) {
            if (fill(context, tokens, depths[d]) != 0) return 1;
            const struct rate deep = time_decode(context, decode, vocab);
            if (deep.wall == 0) return 1;
            deep_rates[d * repeats + repeat] = deep.wall;
            deep_cpu[d * repeats + repeat] = deep.cpu;
        }
    }
    printf("{\"engine\": \"llama.cpp\", \"threads\": %d, \"load_ms\": %.1f, \"prefill_tokens\": %d, "
           "\"prefill_tokens_per_s\": %.1f, \"prefill_tokens_per_cpu_s\": %.1f, "
           "\"decode_tokens\": %d, \"decode_tokens_per_s\": %.1f, "
           "\"decode_tokens_per_cpu_s\": %.2f, \"decode_at_depth\": [",
           threads, load_s * 1e3, prompt, median(prefill_rates, repeats),
           median(prefill_cpu, repeats), decode, median(decode_rates, repeats),
           median(decode_cpu, repeats));
    for (int d = 0; d < depth_count; ++d) {
        printf("%s{\"depth\": %d, \"tokens_per_s\": %.2f, \"tokens_per_cpu_s\": %.2f}",
               d ? ", " : "", depths[d], median(deep_rates + d * repeats, repeats),
               median(deep_cpu + d * repeats, repeats));
    }
    printf("]}\n");
    return 0;
}
