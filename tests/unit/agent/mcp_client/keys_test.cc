// Signed claims, and the file that keeps keys.
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "agent/mcp/client/credential_file.h"
#include "agent/mcp/client/jwt.h"
#include "base/core/base64.h"
#include "support/temp_dir.h"

namespace {

namespace mcp = agent::mcp;
namespace json = base::json;

std::string pem_of(EVP_PKEY* key) {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
    char* text = nullptr;
    const long bytes = BIO_get_mem_data(bio, &text);
    std::string out(text, static_cast<std::size_t>(bytes));
    BIO_free(bio);
    return out;
}

std::string decoded(std::string text) {
    std::ranges::replace(text, '-', '+');
    std::ranges::replace(text, '_', '/');
    while (text.size() % 4 != 0) text += '=';
    return base::base64_decode(text).value_or("not Base64");
}

TEST(Jwt, IsVerifiedByItsKey) {
    EVP_PKEY* key = EVP_RSA_gen(2048);
    const auto token = mcp::sign_jwt({{"iss", "me"}}, pem_of(key), "");
    ASSERT_TRUE(token) << token.error().message;
    const std::size_t last = token->rfind('.');
    const std::string signature = decoded(token->substr(last + 1));
    EXPECT_EQ(decoded(token->substr(0, token->find('.'))), R"({"alg":"RS256","typ":"JWT"})");
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ASSERT_EQ(EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, key), 1);
    EXPECT_EQ(EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature.data()),
                               signature.size(),
                               reinterpret_cast<const unsigned char*>(token->data()), last),
              1);
    EVP_MD_CTX_free(context);
    const auto other = mcp::sign_jwt({}, pem_of(key), "ES256");
    EXPECT_FALSE(other);
    EVP_PKEY_free(key);
}

TEST(Jwt, OfACurveHasTwoNumbersSideBySide) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    EVP_PKEY* longer = EVP_EC_gen("P-384");
    const auto token = mcp::sign_jwt({{"iss", "me"}}, pem_of(key), "");
    ASSERT_TRUE(token) << token.error().message;
    EXPECT_EQ(decoded(token->substr(token->rfind('.') + 1)).size(), 64u);
    const auto other = mcp::sign_jwt({}, pem_of(longer), "ES256");
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, base::Code::invalid_argument);
    EXPECT_FALSE(mcp::sign_jwt({}, "no key", "ES256"));
    EVP_PKEY_free(key);
    EVP_PKEY_free(longer);
}

TEST(CredentialFile, IsItsOwnersAlone) {
    const test::TempDir dir;
    const std::string path = dir.file("deep/keys.json");
    const mcp::CredentialFile file(path);
    EXPECT_TRUE(file.read("tokens", "x")->empty());
    ASSERT_TRUE(file.write("tokens", "x", json::object{{"access_token", "1"}}));
    struct stat found {};
    ASSERT_EQ(::stat(path.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0600u);
    EXPECT_EQ(file.read("tokens", "x")->at("access_token"), "1");
    EXPECT_TRUE(file.read("clients", "x")->empty());
    ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
    const auto open_to_all = file.read("tokens", "x");
    ASSERT_FALSE(open_to_all);
    EXPECT_EQ(open_to_all.error().code, base::Code::permission_denied);
}

TEST(CredentialFile, ManyWritersLoseNothing) {
    const test::TempDir dir;
    const std::string path = dir.file("keys.json");
    std::vector<std::thread> writers;
    for (int i = 0; i < 8; ++i) {
        writers.emplace_back([&path, i] {
            const mcp::CredentialFile file(path);
            EXPECT_TRUE(file.write("tokens", std::to_string(i), json::object{{"n", i}}));
        });
    }
    for (std::thread& writer : writers) writer.join();
    const mcp::CredentialFile file(path);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(file.read("tokens", std::to_string(i))->at("n"), i);
    ASSERT_TRUE(file.write("tokens", "3", nullptr));
    EXPECT_TRUE(file.read("tokens", "3")->empty());
}

}  // namespace
