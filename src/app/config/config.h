#pragma once
// Everything an operator can set, in one struct that is validated once before anything starts.
// The defaults are the member initialisers; names, units, ranges and help texts are in
// config/fields.cc, the one table behind the YAML file, the environment, the flags and the help.

#include <cstdint>
#include <string>

namespace app {

struct ServerConfig {
    std::string host = "127.0.0.1";
    std::uint32_t port = 8080;
    std::uint32_t threads = 2;
    double drain_timeout_s = 30.0;
    std::string cors_origins;
    std::string allowed_hosts;
    bool console = true;
};

struct EngineConfig {
    std::uint32_t threads = 0;
    std::uint32_t context_tokens_max = 0;
    std::uint64_t kv_bytes_max = 0;
    std::string kv_type = "f16";
    std::uint32_t batch_tokens_max = 256;
    double token_gap_target_ms = 0;
    std::uint32_t queue_depth_max = 256;
    std::uint32_t running_max = 16;
    bool prefix_cache = true;
    std::string kv_spill_dir;
    std::uint64_t kv_spill_bytes_max = 4ull << 30;
    std::string packed_dir = "auto";
    std::uint32_t max_tokens_default = 0;
};

struct ModelsConfig {
    std::string model = "default";
    std::string embedder;
    std::string serve;
    bool on_demand = true;
    std::uint64_t memory_bytes_max = 0;
    std::string dir;
    std::string hub_url = "https://huggingface.co";
    std::string hub_token;
    std::string proxy;
    bool offline = false;
};

struct SandboxConfig {
    std::string enabled = "auto";
    std::uint32_t sandboxes_max = 1000;
    std::uint32_t pool_size = 16;
    std::uint32_t warm_sessions = 4;
    std::string python_modules;
    std::string state_dir;
    std::string data_dir;
    std::uint32_t kept_snapshots_max = 1024;
    std::uint64_t kept_snapshot_bytes_max = 16ull << 30;
    std::string policies;
    std::string secrets_file;
    std::string audit_dir;
    std::string audit_ship;
    std::string runsc = "runsc", runsc_platform = "auto";
    std::string microvm_vmm, microvm_kernel, microvm_root;
    bool microvm_emulate = false;
};

struct MemoryConfig {
    std::string enabled = "auto";
    std::string dir;
    std::string sessions;
    std::string embedder = "auto";
    std::string embedder_model;
    std::string embedder_key;
    std::string facts = "rules";
    std::string facts_model;
    std::string facts_key;
    std::string reranker;
    std::string reranker_model;
    std::string reranker_key;
    bool reranker_chat = false;
    std::uint32_t shards = 8;
    std::uint64_t index_bytes_max = 1ull << 30;
    double versions_keep_days = 30;
    std::string encryption = "off";
    std::string key_file;
    std::uint32_t compress_entries = 0, compress_tokens = 0;
    std::uint32_t compress_sentences = 10;
    std::string summaries;
    std::string summaries_model;
    std::string summaries_key;
};

struct FlowConfig {
    std::string enabled = "auto";
    std::string store = "journal";
    std::string dir;
    std::string postgresql;
    double lease_s = 10;
    std::string own_url;
    std::string alarms;
    std::uint32_t threads = 16;
};

struct LogConfig {
    std::string level = "info";
    std::string format = "auto";
    std::string file;
};

struct TraceConfig {
    std::string otlp_endpoint;
};

struct LimitsConfig {
    std::uint32_t connections_max = 1024;
    std::uint64_t header_bytes_max = 32ull << 10;
    std::uint64_t body_bytes_max = 32ull << 20;
    std::uint64_t stream_buffer_bytes = 1ull << 20;
    double read_timeout_s = 30.0;
    double idle_timeout_s = 75.0;
    double write_timeout_s = 30.0;
    double generation_timeout_s = 600.0;
    std::uint32_t choices_max = 8;
    std::uint32_t prompts_max = 64;
    std::uint32_t embed_inputs_max = 2048;
    std::uint32_t embed_queue_max = 64;
    std::uint32_t request_log_rows = 1000;
    std::uint32_t streams_max = 256;
    std::uint64_t stream_log_bytes_max = 4ull << 20;
    double stream_keep_s = 60.0;
    std::uint32_t responses_max = 4096;
    std::uint64_t responses_bytes_max = 64ull << 20;
};

struct Config {
    ServerConfig server;
    EngineConfig engine;
    ModelsConfig models;
    SandboxConfig sandbox;
    MemoryConfig memory;
    FlowConfig flow;
    LogConfig log;
    TraceConfig trace;
    LimitsConfig limits;
};

}  // namespace app
