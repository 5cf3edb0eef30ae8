// Makes the golden data that the engine's tests compare with: what llama.cpp answers on given texts
// or token ids. Run by make_goldens.sh where a llama.cpp is installed; the tests never need one.
//
//   llama_reference LIB_DIR MODEL OUT top TOP_K text FILE...    top log-probabilities per position
//   llama_reference LIB_DIR MODEL OUT logits ids N,N,...        all logits, float32 [rows][vocab]
//   llama_reference LIB_DIR MODEL OUT embedding ids N,N,...     the pooled vector, float32
//
// `top` writes (little-endian): u32 sequences; then each: u32 tokens, u32 k, tokens x u32 id,
// tokens x k x {u16 id, u16 -logprob * 4096 rounded, at most 65535}, most likely first.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "llama.h"

static void quiet(ggml_log_level level, const char* text, void*) {
    if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

template <class T>
static void put(std::ofstream& out, const T* values, std::size_t count) {
    out.write(reinterpret_cast<const char*>(values),
              static_cast<std::streamsize>(count * sizeof(T)));
}

static std::vector<llama_token> tokenize(const llama_model* model, const char* path) {
    std::ifstream in(path);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    std::vector<llama_token> ids(text.size() + 8);
    const int count = llama_tokenize(llama_model_get_vocab(model), text.data(), int(text.size()),
                                     ids.data(), int(ids.size()), true, true);
    ids.resize(std::size_t(std::max(count, 0)));
    return ids;
}

static std::vector<llama_token> parse_ids(const char* list) {
    std::vector<llama_token> ids;
    for (char* at = const_cast<char*>(list); *at;) {
        ids.push_back(llama_token(std::strtol(at, &at, 10)));
        if (*at == ',') ++at;
    }
    return ids;
}

static void decode(llama_context* context, const std::vector<llama_token>& ids) {
    llama_memory_t memory = llama_get_memory(context);
    if (memory) llama_memory_clear(memory, true);
    llama_batch batch = llama_batch_init(int(ids.size()), 0, 1);
    batch.n_tokens = int(ids.size());
    for (int i = 0; i < batch.n_tokens; ++i) {
        batch.token[i] = ids[std::size_t(i)];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = true;
    }
    if (llama_decode(context, batch) != 0) std::abort();
    llama_batch_free(batch);
}

static void put_top(std::ofstream& out, const float* logits, int vocab, std::uint32_t k) {
    std::vector<int> order(static_cast<std::size_t>(vocab));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int a, int b) {
        return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
    });
    const double max = logits[order[0]];
    double sum = 0;
    for (int i = 0; i < vocab; ++i) sum += std::exp(double(logits[i]) - max);
    for (std::uint32_t i = 0; i < k; ++i) {
        const double minus = max + std::log(sum) - double(logits[order[i]]);
        const auto id = std::uint16_t(order[i]);
        const auto stored = std::uint16_t(std::min(65535.0, std::round(minus * 4096)));
        put(out, &id, 1);
        put(out, &stored, 1);
    }
}

int main(int argc, char** argv) {
    if (argc < 7) return std::fprintf(stderr, "usage: see the head of this file\n"), 64;
    llama_log_set(quiet, nullptr);
    ggml_backend_load_all_from_path(argv[1]);
    llama_model* model = llama_model_load_from_file(argv[2], llama_model_default_params());
    if (!model) return 1;
    std::ofstream out(argv[3], std::ios::binary);
    const std::string what = argv[4];
    const bool embedding = what == "embedding";

    std::vector<std::vector<llama_token>> sequences;
    const int first = what == "top" ? 6 : 5;
    for (int i = first + 1; i < argc; ++i) {
        const bool ids = std::strcmp(argv[first], "ids") == 0;
        sequences.push_back(ids ? parse_ids(argv[i]) : tokenize(model, argv[i]));
    }
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 2048;
    params.n_batch = params.n_ubatch = 2048;
    if (const char* context = std::getenv("REFERENCE_CONTEXT")) {
        params.n_ctx = std::uint32_t(std::atoi(context));
    }
    params.n_threads = params.n_threads_batch = 2;
    params.type_k = params.type_v = GGML_TYPE_F32;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    params.embeddings = embedding;
    llama_context* context = llama_init_from_model(model, params);
    if (!context) return 1;
    const int vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));

    const auto count = std::uint32_t(sequences.size());
    if (what == "top") put(out, &count, 1);
    for (const auto& ids : sequences) {
        decode(context, ids);
        if (embedding) {
            put(out, llama_get_embeddings_seq(context, 0), std::size_t(llama_model_n_embd(model)));
            continue;
        }
        const auto tokens = std::uint32_t(ids.size());
        if (what != "top") {
            for (std::uint32_t i = 0; i < tokens; ++i) {
                put(out, llama_get_logits_ith(context, int(i)), std::size_t(vocab));
            }
            continue;
        }
        const auto k = std::uint32_t(std::atoi(argv[5]));
        put(out, &tokens, 1);
        put(out, &k, 1);
        put(out, ids.data(), ids.size());
        for (std::uint32_t i = 0; i < tokens; ++i) {
            put_top(out, llama_get_logits_ith(context, int(i)), vocab, k);
        }
        std::fprintf(stderr, "%u tokens\n", tokens);
    }
    llama_free(context);
    llama_model_free(model);
}
