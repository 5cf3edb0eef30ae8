// The peer of bench/engine/steps/main.cc: the same commands answered by llama.cpp through its C
// interface. Built by bench/engine/steps.py.
//
// Usage: llama_cpp_steps LIB_DIR MODEL THREADS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-backend.h"
#include "llama.h"

enum { MAX_BATCH = 64, CONTEXT = 512, UBATCH = 512 };

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void quiet(enum ggml_log_level level, const char* text, void* user) {
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static int vocab;

static int prefill(struct llama_context* context, int tokens) {
    llama_token* ids = malloc(sizeof(llama_token) * (size_t)tokens);
    for (int i = 0; i < tokens; ++i) ids[i] = rand() % vocab;
    int failed = 0;
    for (int at = 0; at < tokens && !failed; at += UBATCH) {
        const int count = tokens - at < UBATCH ? tokens - at : UBATCH;
        failed = llama_decode(context, llama_batch_get_one(ids + at, count));
    }
    llama_synchronize(context);
    free(ids);
    return failed;
}

static int decode(struct llama_context* context, int batch_size, int steps) {
    struct llama_batch batch = llama_batch_init(batch_size, 0, 1);
    int failed = 0;
    for (int p = 0; p < steps && !failed; ++p) {
        batch.n_tokens = batch_size;
        for (int s = 0; s < batch_size; ++s) {
            batch.token[s] = rand() % vocab;
            batch.pos[s] = p;
            batch.n_seq_id[s] = 1;
            batch.seq_id[s][0] = s;
            batch.logits[s] = 1;
        }
        failed = llama_decode(context, batch);
        llama_synchronize(context);
    }
    llama_batch_free(batch);
    return failed;
}

/// One sequence with room for a prompt, or MAX_BATCH sequences of CONTEXT tokens.
static struct llama_context* make_context(struct llama_model* model, int threads, int sequences) {
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = sequences == 1 ? 2048 : (uint32_t)(sequences * CONTEXT);
    params.n_batch = 2048;
    params.n_ubatch = UBATCH;
    params.n_seq_max = (uint32_t)sequences;
    params.n_threads = threads;
    params.n_threads_batch = threads;
    return llama_init_from_model(model, params);
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: %s LIB_DIR MODEL THREADS\n", argv[0]);
        return 64;
    }
    const int threads = atoi(argv[3]);
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(argv[1]);
    const double load_begin = seconds(CLOCK_PROCESS_CPUTIME_ID);
    struct llama_model* model =
        llama_model_load_from_file(argv[2], llama_model_default_params());
    if (!model) return 1;
    const double load_cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - load_begin;
    vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    srand(1);
    printf("{\"engine\": \"llama.cpp\", \"load_cpu_s\": %.3f}\n", load_cpu_s);
    fflush(stdout);

    // Fewer sequences than a context allows cost it time, so each batch size has its own.
    struct llama_context* contexts[MAX_BATCH + 1] = {0};
    char line[128];
    while (fgets(line, sizeof(line), stdin)) {
        char command[16] = "";
        int first = 0, second = 0;
        sscanf(line, "%15s %d %d", command, &first, &second);
        const int is_prefill = strcmp(command, "prefill") == 0;
        const int sequences = is_prefill ? 1 : first;
        if (first < 1 || sequences > MAX_BATCH || (!is_prefill && second > CONTEXT)) {
            printf("{\"error\": \"no such command\"}\n");
            fflush(stdout);
            continue;
        }
        if (!contexts[sequences]) {
            contexts[sequences] = make_context(model, threads, sequences);
            if (!contexts[sequences]) return 1;
        }
        struct llama_context* context = contexts[sequences];
        llama_memory_clear(llama_get_memory(context), true);
        const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (is_prefill ? prefill(context, first) : decode(context, first, second)) return 1;
        printf("{\"wall_s\": %.6f, \"cpu_s\": %.6f}\n", seconds(CLOCK_MONOTONIC) - wall,
               seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
        fflush(stdout);
    }
    return 0;
}
