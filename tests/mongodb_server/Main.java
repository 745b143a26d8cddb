import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.AbstractMongoBackend;
import de.bwaldvogel.mongo.backend.h2.H2Backend;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.message.MongoMessage;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.Set;
import org.h2.mvstore.MVStore;

/**
 * A server that speaks MongoDB's wire protocol, for tests: Main PORT [FILE].
 *
 * Port 0 takes a free one; the first line of output is "ready PORT". Without FILE everything is
 * in memory. With -Dusers=NAME:PASSWORD:ROLE it lets in only these. It has no sessions or
 * transactions, and ignores some index options: what passes here must still be right on MongoDB.
 */
public class Main {
  static final Set<String> READS =
      Set.of(
          "find", "getMore", "aggregate", "count", "distinct", "hello", "isMaster", "ismaster",
          "ping", "listIndexes", "listCollections", "endSessions", "buildInfo", "killCursors");

  /** Answers only those who say who they are, and only what they may ask. */
  static class Guarded extends MemoryBackend {
    private final Users users;

    Guarded(String given) {
      users = new Users(given);
    }

    @Override
    public Document handleMessage(MongoMessage message) {
      Document answer = users.answer(message, READS);
      if (answer == null) {
        answer = super.handleMessage(message);
        if (message.getDocument().containsKey("saslSupportedMechs")) {
          answer.append("saslSupportedMechs", List.of("SCRAM-SHA-256"));
        }
      }
      return answer;
    }
  }

  /** Commits after every write, so that what was acknowledged survives a kill. */
  static class Durable extends H2Backend {
    private final MVStore store;

    Durable(MVStore store) {
      super(store);
      this.store = store;
    }

    @Override
    public Document handleMessage(MongoMessage message) {
      Document reply = super.handleMessage(message);
      if (!READS.contains(message.getDocument().keySet().iterator().next())) {
        store.commit();
      }
      return reply;
    }
  }

  /** What pymongo asks for before it talks to a server. */
  static class Version implements MongoVersion {
    @Override
    public List<Integer> getVersionArray() {
      return List.of(7, 0, 0);
    }

    @Override
    public int getWireVersion() {
      return 21;
    }

    @Override
    public String toVersionString() {
      return "7.0.0";
    }
  }

  public static void main(String[] arguments) throws Exception {
    String users = System.getProperty("users");
    AbstractMongoBackend backend =
        users != null
            ? new Guarded(users)
            : arguments.length > 1
                ? new Durable(MVStore.open(arguments[1]))
                : new MemoryBackend();
    backend.version(new Version());
    MongoServer server = new MongoServer(backend);
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    InetSocketAddress address = server.getLocalAddress();
    System.out.println("ready " + address.getPort());
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow));
    Thread.currentThread().join();
  }
}
