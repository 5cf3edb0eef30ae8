#pragma once
// The way back of one generation in a chat: the engine's text becomes content, reasoning and tool
// calls for the gateway's listener.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/content_tokens.h"
#include "engine/chat/output_parser.h"
#include "engine/engine.h"
#include "engine/sample/text_stream.h"
#include "gate/model_backend.h"

namespace app {

struct ChatSinkOptions {
    std::shared_ptr<const engine::chat::ChatFormat> format;
    std::shared_ptr<const engine::chat::ToolSet> tools;  ///< null: calls are not looked for
    engine::chat::ParserOptions parser;
    std::vector<std::string> stop;  ///< matched in the content alone
    bool parallel = true;           ///< false: the first complete call ends the answer
};

/// One generation's; on the engine's thread.
class ChatSink {
public:
    explicit ChatSink(ChatSinkOptions options);

    /// `logprobs`: of the token that freed the text, when they are asked for. Those of content come
    /// out with it.
    void push(std::string_view text, std::optional<gate::TokenLogprobs> logprobs,
              gate::TokenDelta& delta);
    void finish(std::string_view text, gate::GenerationEnd& end);
    bool has_enough() const;

private:
    struct Pieces {
        std::string &text, &reasoning;
        std::vector<gate::ToolCallDelta>& tool_calls;
        std::vector<gate::TokenLogprobs>& logprobs;
    };
    void tell(Pieces pieces);
    void show(std::string_view content, const Pieces& pieces);

    engine::chat::OutputParser parser_;
    engine::TextStream stops_;
    ContentTokens tokens_;
    bool parallel_;
    std::vector<engine::chat::Event> events_;
};

}  // namespace app
