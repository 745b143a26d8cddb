import de.bwaldvogel.mongo.bson.BinData;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import io.netty.channel.Channel;
import io.netty.util.AttributeKey;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Who may do what: SCRAM-SHA-256 (RFC 7677) as MongoDB speaks it, and the two roles that matter.
 *
 * Given as "NAME:PASSWORD:read" and "NAME:PASSWORD:readWrite", with commas. What is refused is
 * refused with MongoDB's codes and in its words.
 */
class Users {
  private static final AttributeKey<String> NAME = AttributeKey.valueOf("user");
  private static final AttributeKey<String[]> BEGUN = AttributeKey.valueOf("begun");
  private static final int ITERATIONS = 4096;

  /** What anybody may ask. */
  private static final Set<String> OPEN =
      Set.of(
          "hello", "isMaster", "ismaster", "ping", "buildInfo", "buildinfo", "saslStart",
          "saslContinue", "endSessions", "logout");

  private final Map<String, String> passwords = new HashMap<>();
  private final Map<String, String> roles = new HashMap<>();

  Users(String given) {
    for (String one : given.split(",")) {
      String[] parts = one.split(":");
      passwords.put(parts[0], parts[1]);
      roles.put(parts[0], parts[2]);
    }
  }

  /** The answer to a command that is about users, or that this one may not give; null: go on. */
  Document answer(MongoMessage message, Set<String> reads) {
    Document asked = message.getDocument();
    Channel channel = message.getChannel();
    String command = asked.keySet().iterator().next();
    if (command.equals("saslStart")) {
      return start(channel, text(asked));
    }
    if (command.equals("saslContinue")) {
      return proceed(channel, text(asked));
    }
    if (OPEN.contains(command)) {
      return null;
    }
    String name = channel.attr(NAME).get();
    if (name == null) {
      return refused(13, "Unauthorized", "Command " + command + " requires authentication");
    }
    if (roles.get(name).equals("read") && !reads.contains(command)) {
      String said = "not authorized on %s to execute command { %s: \"%s\", $db: \"%s\" }";
      Object of = asked.get(command);
      String database = String.valueOf(asked.get("$db"));
      return refused(13, "Unauthorized", String.format(said, database, command, of, database));
    }
    return null;
  }

  private static String text(Document asked) {
    return new String(((BinData) asked.get("payload")).getData(), StandardCharsets.UTF_8);
  }

  private Document start(Channel channel, String first) {
    String bare = first.substring(first.indexOf("n=")); // after "n,,"
    Map<String, String> given = fields(bare);
    String salt = Base64.getEncoder().encodeToString("salt of a test".getBytes());
    String said = "r=" + given.get("r") + UUID.randomUUID() + ",s=" + salt + ",i=" + ITERATIONS;
    channel.attr(BEGUN).set(new String[] {given.get("n"), bare, said});
    return payload(said, false);
  }

  private Document proceed(Channel channel, String last) {
    String[] begun = channel.attr(BEGUN).getAndSet(null);
    String password = begun == null ? null : passwords.get(begun[0]);
    if (password == null) {
      return failed();
    }
    int end = last.lastIndexOf(",p=");
    String signed = begun[1] + "," + begun[2] + "," + last.substring(0, end);
    try {
      byte[] salt = Base64.getDecoder().decode(fields(begun[2]).get("s"));
      byte[] salted =
          SecretKeyFactory.getInstance("PBKDF2WithHmacSHA256")
              .generateSecret(new PBEKeySpec(password.toCharArray(), salt, ITERATIONS, 256))
              .getEncoded();
      byte[] key = hmac(salted, "Client Key");
      byte[] signature = hmac(MessageDigest.getInstance("SHA-256").digest(key), signed);
      byte[] proof = Base64.getDecoder().decode(last.substring(end + 3));
      for (int k = 0; k < key.length; k++) {
        if (proof[k] != (byte) (key[k] ^ signature[k])) {
          return failed();
        }
      }
      channel.attr(NAME).set(begun[0]);
      byte[] verifier = hmac(hmac(salted, "Server Key"), signed);
      return payload("v=" + Base64.getEncoder().encodeToString(verifier), true);
    } catch (GeneralSecurityException error) {
      throw new IllegalStateException(error);
    }
  }

  private static Map<String, String> fields(String message) {
    Map<String, String> found = new HashMap<>();
    for (String part : message.split(",")) {
      found.put(part.substring(0, 1), part.substring(2));
    }
    return found;
  }

  private static byte[] hmac(byte[] key, String text) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(key, "HmacSHA256"));
    return mac.doFinal(text.getBytes(StandardCharsets.UTF_8));
  }

  private static Document payload(String text, boolean done) {
    return new Document("conversationId", 1)
        .append("done", done)
        .append("payload", new BinData(text.getBytes(StandardCharsets.UTF_8)))
        .append("ok", 1.0);
  }

  private static Document failed() {
    return refused(18, "AuthenticationFailed", "Authentication failed.");
  }

  private static Document refused(int code, String name, String said) {
    return new Document("ok", 0.0)
        .append("errmsg", said)
        .append("code", code)
        .append("codeName", name);
  }
}
