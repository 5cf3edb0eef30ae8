#include "app/model_facts.h"

namespace app {

base::json::object model_facts(const engine::ModelInfo& info) {
    return {{"name", info.name},
            {"architecture", info.architecture},
            {"kind", info.ranks                                ? "ranker"
                     : info.kind == engine::ModelKind::encoder ? "encoder"
                                                               : "generator"},
            {"quantization", info.quantization},
            {"license", info.license},
            {"parameters", info.parameters},
            {"file_bytes", info.file_bytes},
            {"layers", info.layers},
            {"dim", info.dim},
            {"heads", info.heads},
            {"kv_heads", info.kv_heads},
            {"head_dim", info.head_dim},
            {"ffn_dim", info.ffn_dim},
            {"vocab_size", info.vocab_size},
            {"context_tokens_trained", info.context_tokens_trained},
            {"embedding_dim", info.embedding_dim}};
}

}  // namespace app
