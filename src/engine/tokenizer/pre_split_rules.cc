#include "engine/tokenizer/pre_split_rules.h"

#include <algorithm>

// The expressions are those the model makers publish in their tokenizer.json, which are facts about
// the models; `(?i:...)`, possessive forms and look-ahead mean the same in PCRE2.

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SPACE_TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SYMBOLS_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACE_TAIL
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define UPPERS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWERS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CAMEL(tail)                                                                      \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPERS "*" LOWERS "+" tail "|[^\\r\\n\\p{L}\\p{N}]?" UPPERS \
    "+" LOWERS "*" tail
#define SLASH_TAIL "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACE_TAIL
#define ASCII_PUNCTUATION "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
#define CJK_KANA "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"
#define CJK_HANGUL "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define SENTENCE_PIECES \
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
// Letters that have case, as DeepSeek LLM lists them.
#define CASED_LETTERS                                                                       \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"          \
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}"  \
    "\\x{37F}\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}"           \
    "\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}"                \
    "\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}"          \
    "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}"          \
    "\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}" \
    "\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}"  \
    "\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}"          \
    "\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}"           \
    "\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}"            \
    "\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}" \
    "\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}"  \
    "\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}"           \
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}"          \
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}"        \
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"  \
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"

namespace engine {
namespace {

constexpr PreSplitRule kGpt2{.patterns = {GPT2}};
constexpr PreSplitRule kDigitsGpt2{.patterns = {"\\p{N}", GPT2}};
constexpr PreSplitRule kLlama3{.patterns = {CONTRACTIONS "|" WORD "|\\p{N}{1,3}" SYMBOLS_TAIL},
                               .ignores_merges = true,
                               .adds_bos = true};
constexpr PreSplitRule kLlama3Plain{
    .patterns = {CONTRACTIONS "|" WORD "|\\p{N}{1,3}" SYMBOLS_TAIL}};
constexpr PreSplitRule kQwen2{.patterns = {CONTRACTIONS "|" WORD "|\\p{N}" SYMBOLS_TAIL}};
constexpr PreSplitRule kQwen35{.patterns = {CONTRACTIONS
                                            "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                                            "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACE_TAIL}};
constexpr PreSplitRule kDeepseekLlm{
    .patterns = {
        "[\\r\\n]", "\\s?[" CASED_LETTERS "]+",
        "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+",
        "\\s+$", CJK_HANGUL, "\\p{N}+"}};
constexpr PreSplitRule kDeepseekCoder{
    .patterns = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_HANGUL, "\\p{N}"}};
constexpr PreSplitRule kDeepseekV3{
    .patterns = {"\\p{N}{1,3}", CJK_KANA,
                 ASCII_PUNCTUATION "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                                   "| ?[\\p{P}\\p{S}]+[\\r\\n]*" SPACE_TAIL}};
constexpr PreSplitRule kFalcon{.patterns = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}};
constexpr PreSplitRule kTekken{
    .patterns = {CAMEL("") "|\\p{N}" SLASH_TAIL}, .ignores_merges = true, .adds_bos = true};
constexpr PreSplitRule kGpt4o{.patterns = {CAMEL(CONTRACTIONS "?") "|\\p{N}{1,3}" SLASH_TAIL}};
constexpr PreSplitRule kGraniteMulti{
    .patterns = {CAMEL(CONTRACTIONS "?") "|\\p{N}{1,3}" SLASH_TAIL}, .ignores_merges = true};
constexpr PreSplitRule kTinyAya{
    .patterns = {"\\d{1,3}(?=(?:\\d{3})*\\b)", CAMEL(CONTRACTIONS "?") "|\\p{N}{1,3}" SLASH_TAIL}};
constexpr PreSplitRule kYoutu{
    .patterns = {"[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+"
                 "|[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}\\x{2019}\\x{2014}\\x{FF1A}\\x{"
                 "FF1B}\\x{FF0C}"
                 "\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|[\\x{3105}-\\x{312F}]+|" CJK_KANA,
                 CAMEL(CONTRACTIONS "?") "|\\p{N}" SLASH_TAIL},
    .ignores_merges = true};
constexpr PreSplitRule kSentencePieces{.patterns = {SENTENCE_PIECES}};
constexpr PreSplitRule kViking{.patterns = {SENTENCE_PIECES, "\\p{N}"}};
constexpr PreSplitRule kJais2{
    .patterns = {CONTRACTIONS
                 "|" WORD "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+"
                 "|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)"
                 "|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"}};
constexpr PreSplitRule kExaoneMoe{
    .patterns = {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
                              "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}};
constexpr PreSplitRule kBailing{
    .patterns = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}"
                 "| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}};
constexpr PreSplitRule kSeedCoder{
    .patterns = {CONTRACTIONS "|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" SPACE_TAIL}};
constexpr PreSplitRule kUfakzeka{.patterns = {WORD "|\\p{N}" SYMBOLS_TAIL}};
constexpr PreSplitRule kLaguna{
    .patterns = {"[^\\n]+|[\\n]+", CONTRACTIONS "|" WORD "|\\p{N}" SYMBOLS_TAIL}};
constexpr PreSplitRule kMiniCpm5{
    .patterns = {"\\p{N}{1,3}", CONTRACTIONS "|" WORD "|\\p{N}+" SYMBOLS_TAIL},
    .ignores_merges = true};
constexpr PreSplitRule kDefault{
    .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}};

struct NamedRule {
    std::string_view name;
    const PreSplitRule* rule;
};

constexpr NamedRule kRules[] = {
    {"default", &kDefault},
    {"llama3", &kLlama3},
    {"llama-v3", &kLlama3},
    {"llama-bpe", &kLlama3},
    {"falcon3", &kLlama3},
    {"falcon-h1", &kLlama3},
    {"pixtral", &kLlama3},
    {"midm-2.0", &kLlama3},
    {"lfm2", &kLlama3},
    {"jina-v5-nano", &kLlama3},
    {"dbrx", &kLlama3Plain},
    {"smaug-bpe", &kLlama3Plain},
    {"glm4", &kLlama3Plain},
    {"chatglm-bpe", &kLlama3Plain},
    {"minicpm5", &kMiniCpm5},
    {"deepseek-llm", &kDeepseekLlm},
    {"deepseek-coder", &kDeepseekCoder},
    {"deepseek-v3", &kDeepseekV3},
    {"hunyuan-dense", &kDeepseekV3},
    {"joyai-llm", &kDeepseekV3},
    {"hy_v4", &kDeepseekV3},
    {"youtu", &kYoutu},
    {"falcon", &kFalcon},
    {"mpt", &kGpt2},
    {"gpt-2", &kGpt2},
    {"phi-2", &kGpt2},
    {"jina-es", &kGpt2},
    {"jina-de", &kGpt2},
    {"jina-v2-es", &kGpt2},
    {"jina-v2-de", &kGpt2},
    {"jina-v1-en", &kGpt2},
    {"jina-v2-code", &kGpt2},
    {"roberta-bpe", &kGpt2},
    {"gigachat", &kGpt2},
    {"a.x-4.0", &kGpt2},
    {"mellum", &kGpt2},
    {"modern-bert", &kGpt2},
    {"olmo", &kGpt2},
    {"jais", &kGpt2},
    {"exaone4", &kGpt2},
    {"trillion", &kGpt2},
    {"granite-docling", &kGpt2},
    {"starcoder", &kDigitsGpt2},
    {"refact", &kDigitsGpt2},
    {"command-r", &kDigitsGpt2},
    {"smollm", &kDigitsGpt2},
    {"codeshell", &kDigitsGpt2},
    {"exaone", &kDigitsGpt2},
    {"minerva-7b", &kDigitsGpt2},
    {"mellum2", &kDigitsGpt2},
    {"qwen2", &kQwen2},
    {"deepseek-r1-qwen", &kQwen2},
    {"kormo", &kQwen2},
    {"f2llmv2", &kQwen2},
    {"stablelm2", &kQwen2},
    {"hunyuan", &kQwen2},
    {"solar-open", &kQwen2},
    {"megrez", &kQwen2},
    {"grok-2", &kQwen2},
    {"qwen35", &kQwen35},
    {"poro-chat", &kSentencePieces},
    {"bloom", &kSentencePieces},
    {"gpt3-finnish", &kSentencePieces},
    {"viking", &kViking},
    {"jais-2", &kJais2},
    {"tekken", &kTekken},
    {"gpt-4o", &kGpt4o},
    {"llama4", &kGpt4o},
    {"kanana2", &kGpt4o},
    {"talkie", &kGpt4o},
    {"minimax-m2", &kGpt4o},
    {"granite-embed-multi-97m", &kGraniteMulti},
    {"tiny_aya", &kTinyAya},
    {"cohere2moe", &kTinyAya},
    {"exaone-moe", &kExaoneMoe},
    {"bailingmoe", &kBailing},
    {"bailingmoe2", &kBailing},
    {"llada-moe", &kBailing},
    {"seed-coder", &kSeedCoder},
    {"ufakzeka", &kUfakzeka},
    {"laguna", &kLaguna},
};

}  // namespace

const PreSplitRule* find_pre_split_rule(std::string_view name) {
    const auto* found =
        std::find_if(std::begin(kRules), std::end(kRules), [&](auto& r) { return r.name == name; });
    return found == std::end(kRules) ? nullptr : found->rule;
}

std::string known_pre_split_rules() {
    std::string names;
    for (const NamedRule& known : kRules) {
        if (!names.empty()) names.append(", ");
        names.append(known.name);
    }
    return names;
}

}  // namespace engine
