// Times llama.cpp on one model through its C interface, printing one JSON line with the columns of
// `dougong bench --json`: load, prefill and decode rates, medians over repeats. Built by
// bench/engine/side_by_side against a llama.cpp that whoever runs the benchmark has installed.
//
// Usage: llama_cpp_bench LIB_DIR MODEL THREADS PROMPT_TOKENS DECODE_TOKENS REPEATS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-backend.h"
#include "llama.h"

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
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

int main(int argc, char** argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: %s LIB_DIR MODEL THREADS PROMPT_TOKENS DECODE_TOKENS REPEATS\n",
                argv[0]);
        return 64;
    }
    const int threads = atoi(argv[3]), prompt = atoi(argv[4]), decode = atoi(argv[5]);
    const int repeats = atoi(argv[6]);
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(argv[1]);

    const double load_start = now_s();
    struct llama_model_params model_params = llama_model_default_params();
    struct llama_model* model = llama_model_load_from_file(argv[2], model_params);
    if (!model) return 1;
    struct llama_context_params context_params = llama_context_default_params();
    context_params.n_ctx = (uint32_t)(prompt + decode + 16);
    context_params.n_batch = 2048;
    context_params.n_ubatch = 512;
    context_params.n_threads = threads;
    context_params.n_threads_batch = threads;
    struct llama_context* context = llama_init_from_model(model, context_params);
    if (!context) return 1;
    const double load_s = now_s() - load_start;

    const int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    llama_token* tokens = malloc(sizeof(llama_token) * (size_t)prompt);
    srand(1);
    for (int i = 0; i < prompt; ++i) tokens[i] = rand() % vocab;

    double* prefill_rates = calloc((size_t)repeats, sizeof(double));
    double* decode_rates = calloc((size_t)repeats, sizeof(double));
    for (int repeat = -1; repeat < repeats; ++repeat) {  // -1: warm-up
        llama_memory_clear(llama_get_memory(context), true);
        double start = now_s();
        if (llama_decode(context, llama_batch_get_one(tokens, prompt)) != 0) return 1;
        llama_synchronize(context);
        const double prefill_s = now_s() - start;
        // Decode from an empty cache, as llama-bench's tg does.
        llama_memory_clear(llama_get_memory(context), true);
        start = now_s();
        for (int i = 0; i < decode; ++i) {
            llama_token token = rand() % vocab;
            if (llama_decode(context, llama_batch_get_one(&token, 1)) != 0) return 1;
            llama_synchronize(context);
        }
        const double decode_s = now_s() - start;
        if (repeat >= 0) {
            prefill_rates[repeat] = prompt / prefill_s;
            decode_rates[repeat] = decode / decode_s;
        }
    }
    printf("{\"engine\": \"llama.cpp\", \"threads\": %d, \"load_ms\": %.1f, \"prefill_tokens\": %d, "
           "\"prefill_tokens_per_s\": %.1f, \"decode_tokens\": %d, \"decode_tokens_per_s\": %.1f}\n",
           threads, load_s * 1e3, prompt, median(prefill_rates, repeats), decode,
           median(decode_rates, repeats));
    return 0;
}
